"""The diarizers by their names."""

from __future__ import annotations

import threading
from functools import cache

from gpu.diarization.types import Diarizer
from gpu.types import EngineUnavailable

DIARIZERS = ("embedded", "pyannote", "modal")

_lock = threading.Lock()


def get_diarizer(name: str) -> Diarizer:
    """The diarizer of this process, created once; its model is loaded at the first use.

    Raises EngineUnavailable for a name that is not in DIARIZERS.
    """
    with _lock:
        return _create(name)


@cache
def _create(name: str) -> Diarizer:
    if name == "embedded":
        from gpu.diarization.embedded import EmbeddedDiarizer

        return EmbeddedDiarizer()
    if name == "pyannote":
        from gpu.diarization.pyannote import PyannoteDiarizer

        return PyannoteDiarizer()
    if name == "modal":
        from gpu.diarization.modal_diarizer import ModalDiarizer

        return ModalDiarizer()
    raise EngineUnavailable(f"DIARIZER={name!r} is unknown; choose one of {', '.join(DIARIZERS)}")
