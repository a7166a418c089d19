"""Samples out of a prepared WAV file: a stretch at a time, at the rate an engine wants."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import numpy as np

RATE = 24_000  # what `preprocess` writes: mono, 16 bit


def read(path: Path, start: float, end: float) -> np.ndarray[Any, np.dtype[np.int16]]:
    """The int16 samples from `start` to `end` (seconds) at 24 kHz; shorter at the end of the file.

    Raises ValueError if the file is not what `preprocess` writes.
    """
    try:
        with wave.open(str(path), "rb") as wav:
            if (wav.getnchannels(), wav.getframerate(), wav.getsampwidth()) != (1, RATE, 2):
                raise wave.Error("another layout")
            first = min(round(start * RATE), wav.getnframes())
            wav.setpos(first)
            return np.frombuffer(wav.readframes(max(0, round(end * RATE) - first)), dtype="<i2")
    except (wave.Error, EOFError) as error:
        raise ValueError(f"{path} is not mono 16-bit audio at {RATE} Hz: {error}") from error


def read_at(path: Path, start: float, end: float, rate: int) -> np.ndarray[Any, Any]:
    """The same stretch as float32 in -1..1, resampled to `rate`."""
    import av  # comes with faster-whisper; kept out of the web process

    samples = read(path, start, end)
    if not samples.size:
        return np.zeros(0, dtype=np.float32)
    frame = av.AudioFrame.from_ndarray(samples[np.newaxis, :], format="s16", layout="mono")
    frame.sample_rate = RATE
    resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
    parts = [out.to_ndarray()[0] for step in (frame, None) for out in resampler.resample(step)]
    return np.concatenate([np.zeros(0, dtype=np.float32), *parts])
