"""The channels of a recording: they are looked at before they are mixed.

A plain sum would cancel channels of opposite phase, and halve a voice that is on one channel only.
"""

from __future__ import annotations

import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gpu import pcm

BLOCK_FRAMES = 30 * pcm.SAMPLE_RATE_HZ  # in memory at a time
SILENT_PEAK = 16  # of 32768: less than the noise of a converter
SILENT_SHARE = 1e-6  # of the other channel's energy: 60 dB below it, which is crosstalk
OPPOSITE_CORRELATION = -0.5  # below it, the difference is much louder than the sum
SAME_CORRELATION = 0.95  # above it, both channels have the same sound

Samples = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True, slots=True)
class Channels:
    """What two channels have in common. `is_silent` is true for channels without any sound."""

    is_silent: tuple[bool, bool]
    correlation: float

    @property
    def weights(self) -> tuple[float, float]:
        """The part of each channel in the mix."""
        if any(self.is_silent) and not all(self.is_silent):
            return (0.0, 1.0) if self.is_silent[0] else (1.0, 0.0)
        return (0.5, -0.5) if self.correlation < OPPOSITE_CORRELATION else (0.5, 0.5)

    @property
    def are_different(self) -> bool:
        """Whether they do not have the same sound, which nobody wants to read twice."""
        return abs(self.correlation) < SAME_CORRELATION


def channel_count(path: Path) -> int:
    """Of a WAV; 0 if it cannot be read."""
    try:
        with wave.open(str(path), "rb") as wav:
            return wav.getnchannels()
    except (OSError, EOFError, RuntimeError, wave.Error):
        return 0


def compare(stereo: Path, check: Callable[[], None]) -> Channels:
    """Read a stereo WAV and compare its channels. `check` is called for each block."""
    peaks, count = np.zeros(2), 0
    sums, products = np.zeros(2), np.zeros((2, 2))
    for block in _blocks(stereo, check):
        count += block.shape[1]
        peaks = np.maximum(peaks, np.maximum(block.max(axis=1), -block.min(axis=1)))
        sums += block.sum(axis=1, dtype=np.float64)
        products += block @ block.T
    covariance = products - np.outer(sums, sums) / max(count, 1)
    energy = covariance.diagonal()
    silent = (peaks <= SILENT_PEAK) | (energy <= SILENT_SHARE * energy.max())
    scale = float(np.sqrt(energy.prod()))
    correlation = float(covariance[0, 1]) / scale if scale else 0.0
    return Channels((bool(silent[0]), bool(silent[1])), correlation)


def mix(stereo: Path, mono: Path, weights: tuple[float, float], check: Callable[[], None]) -> None:
    """Write a mono WAV with the weighted sum of both channels."""
    with wave.open(str(mono), "wb") as out:
        out.setparams((1, 2, pcm.SAMPLE_RATE_HZ, 0, "NONE", "not compressed"))
        for block in _blocks(stereo, check):
            mixed = np.rint(block[0] * weights[0] + block[1] * weights[1])
            out.writeframes(mixed.clip(-32768, 32767).astype("<i2").tobytes())


def split(stereo: Path, folder: Path, check: Callable[[], None]) -> tuple[Path, ...]:
    """Write a mono WAV for each channel."""
    paths = (folder / "channel-0.wav", folder / "channel-1.wav")
    for path, weights in zip(paths, ((1.0, 0.0), (0.0, 1.0)), strict=True):
        mix(stereo, path, weights, check)
    return paths


def _blocks(stereo: Path, check: Callable[[], None]) -> Iterator[Samples]:
    """Arrays with a row for each channel."""
    with wave.open(str(stereo), "rb") as wav:
        while frames := wav.readframes(BLOCK_FRAMES):
            check()
            whole = len(frames) // 4 * 4  # FFmpeg may have been stopped in a frame
            samples = np.frombuffer(frames[:whole], dtype="<i2").reshape(-1, 2)
            yield samples.T.astype(np.float32, order="C")
