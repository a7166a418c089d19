"""The engine of this session, and prepared audio for it."""

from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpu.engine import get_engine
from gpu.pcm import RATE
from gpu.types import Engine

Samples = np.ndarray[Any, np.dtype[np.int16]]
WriteWav = Callable[..., Path]


@pytest.fixture(scope="session")
def engine() -> Engine:
    """Whisper with the real weights, loaded once for all tests of all rooms."""
    return get_engine("whisper")


@pytest.fixture
def write_wav(tmp_path: Path) -> WriteWav:
    """A function that writes samples as a WAV, by default as `preprocess` would."""

    def write(samples: Samples, rate: int = RATE, channels: int = 1, width: int = 2) -> Path:
        path = tmp_path / "audio.wav"
        with wave.open(str(path), "wb") as wav:
            wav.setnchannels(channels)
            wav.setframerate(rate)
            wav.setsampwidth(width)
            wav.writeframes(samples.tobytes())
        return path

    return write


def lengthen(path: Path, seconds: int) -> None:
    """Makes an empty WAV so long; zeros take hardly any room on the disk."""
    size = seconds * RATE * 2
    with path.open("r+b") as file:
        file.truncate(44 + size)
        file.seek(4)
        file.write((36 + size).to_bytes(4, "little"))
        file.seek(40)
        file.write(size.to_bytes(4, "little"))
