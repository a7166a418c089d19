"""Reads samples from a prepared WAV file, a stretch at a time, at the rate that an engine needs."""

from __future__ import annotations

import math
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

SAMPLE_RATE_HZ = 24_000  # of prepared audio, which is mono with 16 bits


def read_samples(path: Path, start: float, end: float) -> np.ndarray[Any, np.dtype[np.int16]]:
    """The samples from `start` to `end` (seconds) at 24 kHz; fewer at the end of the file.

    Raises ValueError if the file is not mono 16-bit audio at 24 kHz.
    """
    try:
        with wave.open(str(path), "rb") as wav:
            layout = (wav.getnchannels(), wav.getframerate(), wav.getsampwidth())
            if layout != (1, SAMPLE_RATE_HZ, 2):
                raise wave.Error("it has another layout")
            first = min(round(start * SAMPLE_RATE_HZ), wav.getnframes())
            wav.setpos(first)
            count = max(0, round(end * SAMPLE_RATE_HZ) - first)
            return np.frombuffer(wav.readframes(count), dtype="<i2")
    except (wave.Error, EOFError, RuntimeError) as error:  # `wave` raises all of them
        raise ValueError(
            f"{path} is not mono 16-bit audio at {SAMPLE_RATE_HZ} Hz: {error}"
        ) from error


def read_blocks(
    path: Path, duration: float, block_s: float = 10.0
) -> Iterator[np.ndarray[Any, np.dtype[np.int16]]]:
    """All samples up to `duration` (seconds), `block_s` of them at a time. Raises ValueError."""
    for number in range(math.ceil(duration / block_s)):
        start = number * block_s
        yield read_samples(path, start, min(duration, start + block_s))


def read_resampled(path: Path, start: float, end: float, rate_hz: int) -> np.ndarray[Any, Any]:
    """The same samples as float32 in -1..1, resampled to `rate_hz`."""
    resampler = Resampler(rate_hz)
    parts = resampler.push(read_samples(path, start, end)), resampler.finish()
    return np.concatenate(parts)


class Resampler:
    """Changes the sample rate of a stream of mono audio from `source_hz` to `rate_hz`."""

    def __init__(self, rate_hz: int, source_hz: int = SAMPLE_RATE_HZ) -> None:
        import av  # comes with faster-whisper; not imported in the web process

        self._source_hz = source_hz
        self._resampler = av.AudioResampler(format="flt", layout="mono", rate=rate_hz)

    def push(self, samples: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """The next samples, int16 or float32, as float32. A few of them come with the next call."""
        import av

        if not samples.size:
            return np.zeros(0, dtype=np.float32)
        layout = "s16" if samples.dtype == np.int16 else "flt"
        frame = av.AudioFrame.from_ndarray(samples[np.newaxis, :], format=layout, layout="mono")
        frame.sample_rate = self._source_hz
        return self._resampled(frame)

    def finish(self) -> np.ndarray[Any, np.dtype[np.float32]]:
        """The last samples."""
        return self._resampled(None)

    def _resampled(self, frame: Any) -> np.ndarray[Any, np.dtype[np.float32]]:
        parts = [out.to_ndarray()[0] for out in self._resampler.resample(frame)]
        return np.concatenate([np.zeros(0, dtype=np.float32), *parts])
