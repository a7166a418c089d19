"""The weights of the voice encoder, from the wheel of Resemblyzer.

They are a torch checkpoint: a sequence of pickles followed by the bytes of the tensors. It is read
without torch, by an unpickler that can create nothing but arrays.
"""

from __future__ import annotations

import hashlib
import pickle
import struct
from collections import OrderedDict
from importlib.metadata import PackageNotFoundError, distribution
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np

from gpu.types import EngineUnavailable

PACKAGE = "resemblyzer"
SHA256 = "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e"
TYPES: dict[str, np.dtype[Any]] = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}

Array = np.ndarray[Any, np.dtype[np.float32]]


def voice_encoder() -> dict[str, Array]:
    """The arrays by name, such as `lstm.weight_ih_l0`. Raises EngineUnavailable."""
    try:
        path = distribution(PACKAGE).locate_file("resemblyzer/pretrained.pt")
        data = bytes(path.read_bytes())  # type: ignore[attr-defined]
    except (PackageNotFoundError, OSError) as error:
        raise EngineUnavailable(
            f"The package with the voice encoder is missing: pip install --no-deps {PACKAGE}"
        ) from error
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise EngineUnavailable(
            "The weights of the voice encoder are damaged: reinstall resemblyzer"
        )
    weights = _read(BytesIO(data))["model_state"]
    return {name: np.ascontiguousarray(array) for name, array in weights.items()}


class _Tensor(NamedTuple):
    storage: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Unpickler(pickle.Unpickler):
    """Accepts only tensors and the containers around them."""

    def __init__(self, file: BytesIO) -> None:
        super().__init__(file)
        self.types: dict[str, np.dtype[Any]] = {}  # by storage

    def find_class(self, module: str, name: str) -> Any:
        known = {
            "_rebuild_tensor_v2": lambda storage, offset, shape, strides, *_: _Tensor(
                storage, offset, shape, strides
            ),
            "OrderedDict": OrderedDict,
        }
        if name in TYPES:
            return name
        if name in known:
            return known[name]
        raise pickle.UnpicklingError(f"{module}.{name} is not expected in the weights")

    def persistent_load(self, pid: Any) -> str:
        _, kind, key, *_ = pid
        self.types[key] = TYPES[kind]
        return str(key)


def _read(file: BytesIO) -> Any:
    for _ in range(3):  # magic number, version, and facts about the machine
        _Unpickler(file).load()
    unpickler = _Unpickler(file)
    content = unpickler.load()
    storages: dict[str, Any] = {}
    for key in _Unpickler(file).load():
        (count,) = struct.unpack("<q", file.read(8))
        kind = unpickler.types[key]
        storages[key] = np.frombuffer(file.read(count * kind.itemsize), kind)
    return _with_arrays(content, storages)


def _with_arrays(content: Any, storages: dict[str, Any]) -> Any:
    if isinstance(content, _Tensor):
        storage = storages[content.storage][content.offset :]
        strides = [step * storage.itemsize for step in content.strides]
        return np.lib.stride_tricks.as_strided(storage, content.shape, strides)
    if isinstance(content, dict):
        return {key: _with_arrays(value, storages) for key, value in content.items()}
    return content
