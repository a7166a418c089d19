"""The engines by their names."""

from __future__ import annotations

import threading
from functools import cache

from gpu.types import Engine, EngineUnavailable

ENGINES = ("whisper", "kyutai", "modal")
TRANSLATING_ENGINES = ("whisper",)  # into English

_lock = threading.Lock()


def get_engine(name: str) -> Engine:
    """The engine of this process, created once; its model is loaded at the first use.

    Raises EngineUnavailable for a name that is not in ENGINES.
    """
    with _lock:  # otherwise concurrent threads would each create and load an engine
        return _create(name)


@cache
def _create(name: str) -> Engine:
    if name == "whisper":
        from gpu.whisper import WhisperEngine

        return WhisperEngine()
    if name == "kyutai":
        from gpu.kyutai.engine import KyutaiEngine

        return KyutaiEngine()
    if name == "modal":
        from gpu.modal.engine import ModalEngine

        return ModalEngine()
    raise EngineUnavailable(f"STT_ENGINE={name!r} is unknown; choose one of {', '.join(ENGINES)}")
