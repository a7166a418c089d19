"""The engine of this session, and prepared audio."""

from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpu.engine import get_engine
from gpu.pcm import SAMPLE_RATE_HZ
from gpu.types import Engine

Samples = np.ndarray[Any, np.dtype[np.int16]]
WriteWav = Callable[..., Path]


@pytest.fixture(scope="session")
def engine() -> Engine:
    """Whisper with the real weights, loaded once for all tests."""
    return get_engine("whisper")


@pytest.fixture
def write_wav(tmp_path: Path) -> WriteWav:
    """A function that writes a WAV file, by default with the layout of prepared audio."""

    def write(
        samples: Samples, rate: int = SAMPLE_RATE_HZ, channels: int = 1, width: int = 2
    ) -> Path:
        path = tmp_path / "audio.wav"
        with wave.open(str(path), "wb") as wav:
            wav.setnchannels(channels)
            wav.setframerate(rate)
            wav.setsampwidth(width)
            wav.writeframes(samples.tobytes())
        return path

    return write


def lengthen(path: Path, seconds: int) -> None:
    """Extends an empty WAV file with zeros, which take hardly any disk space."""
    size = seconds * SAMPLE_RATE_HZ * 2
    with path.open("r+b") as file:
        file.truncate(44 + size)
        file.seek(4)
        file.write((36 + size).to_bytes(4, "little"))
        file.seek(40)
        file.write(size.to_bytes(4, "little"))
