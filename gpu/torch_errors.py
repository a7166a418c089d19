"""Errors of torch, classified by what can be done about them."""

from __future__ import annotations

import torch

from gpu.types import DeviceLost, EngineError, OutOfMemory

# What libraries outside torch's allocator, such as cuBLAS, say.
FULL = ("out of memory", "ALLOC_FAILED")


def engine_error(
    message: str, error: Exception, default: type[EngineError] = EngineError
) -> EngineError:
    """The EngineError for what torch raises; `default` if it is neither memory nor the device."""
    is_full = any(words in str(error) for words in FULL)
    if is_full or isinstance(error, torch.OutOfMemoryError | MemoryError):
        error_type: type[EngineError] = OutOfMemory
    elif isinstance(error, torch.AcceleratorError) or "CUDA error" in str(error):
        error_type = DeviceLost
    else:
        error_type = default
    return error_type(f"{message}: {error!r}")
