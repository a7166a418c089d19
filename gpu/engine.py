"""The engine by its name."""

from __future__ import annotations

from functools import cache

from gpu.types import Engine, EngineUnavailable

ENGINES = ("whisper", "kyutai", "modal")


@cache
def get_engine(name: str) -> Engine:
    """The engine of this process, made once; its model is loaded at the first use.

    Raises EngineUnavailable for a name that is not in ENGINES.
    """
    if name == "whisper":
        from gpu.whisper import WhisperEngine

        return WhisperEngine()
    if name == "kyutai":
        from gpu.kyutai_engine import KyutaiEngine

        return KyutaiEngine()
    if name == "modal":
        from gpu.client import ModalEngine

        return ModalEngine()
    raise EngineUnavailable(f"STT_ENGINE={name!r} is unknown; choose one of {', '.join(ENGINES)}")
