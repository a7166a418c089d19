"""The engine of this session, and prepared audio."""

from __future__ import annotations

import sys
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpu.engine import get_engine
from gpu.pcm import SAMPLE_RATE_HZ
from gpu.tests.diarization.package import is_installed, stand_ins
from gpu.types import Audio, Engine, Span

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


@pytest.fixture
def tones(write_wav: WriteWav) -> Audio:
    """Twelve seconds in which a tone and noise change every half second."""
    random, parts = np.random.default_rng(4), 24
    length = SAMPLE_RATE_HZ // 2
    time = np.arange(parts * length) / SAMPLE_RATE_HZ
    pitch, volume = random.integers(100, 2000, parts), random.random(parts)
    tone = np.sin(2 * np.pi * time * np.repeat(pitch, length)) * 6000
    noise = random.standard_normal(parts * length) * np.repeat(volume, length) * 1000
    return Audio(write_wav((tone + noise).astype(np.int16)), 12.0, (Span(0.0, 12.0),))


@pytest.fixture(scope="session")
def pyannote_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with a pipeline of tiny random models; without the package, only its name."""
    folder = tmp_path_factory.mktemp("pyannote")
    if is_installed():
        from gpu.tests.diarization.tiny_pyannote import save_pipeline

        save_pipeline(folder)
    else:
        (folder / "config.yaml").touch()
    return str(folder)


@pytest.fixture
def pyannote_package(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The package, or its stand-in, can be imported."""
    for folder in stand_ins():
        monkeypatch.syspath_prepend(folder)
    yield
    if stand_ins():
        for name in [name for name in sys.modules if name.partition(".")[0] == "pyannote"]:
            del sys.modules[name]


def lengthen(path: Path, seconds: int) -> None:
    """Extends an empty WAV file with zeros, which take hardly any disk space."""
    size = seconds * SAMPLE_RATE_HZ * 2
    with path.open("r+b") as file:
        file.truncate(44 + size)
        file.seek(4)
        file.write((36 + size).to_bytes(4, "little"))
        file.seek(40)
        file.write(size.to_bytes(4, "little"))
