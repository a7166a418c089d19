"""The waveform of prepared audio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gpu import pcm
from transcriptions.waveform import Waveform

POINTS_PER_SECOND = 50  # of a short recording: more than a screen shows
MAX_SHORT_POINTS = 30_000  # those of ten minutes
LONG_POINTS_PER_SECOND = 10  # at least, of a long one
POINTS_AT_A_TIME = 500  # bounds the memory


@dataclass(frozen=True, slots=True)
class Loudness:
    """RMS and peak of each point, from 0 to 1."""

    rms: np.ndarray[Any, np.dtype[np.float32]]
    peaks: np.ndarray[Any, np.dtype[np.float32]]


def measure_loudness(path: Path, duration: float) -> Loudness:
    """Measure one channel. Raises ValueError if the file is not prepared audio."""
    edges = np.linspace(0, duration, _point_count(duration) + 1)
    blocks = [
        _measure_points(path, edges[first : first + POINTS_AT_A_TIME + 1])
        for first in range(0, len(edges) - 1, POINTS_AT_A_TIME)
    ]
    return Loudness(*np.concatenate(blocks, axis=1))


def waveform_of(channels: Sequence[Loudness]) -> Waveform:
    """The waveform of the loudest channel at each point, scaled to a peak of 255."""
    rms = np.maximum.reduce([channel.rms for channel in channels])
    peaks = np.maximum.reduce([channel.peaks for channel in channels])
    scale = 255 / (peaks.max() or 1)
    return Waveform(
        *(np.round(values * scale).astype(np.uint8).tobytes() for values in (rms, peaks))
    )


def _point_count(duration: float) -> int:
    most = max(MAX_SHORT_POINTS, duration * LONG_POINTS_PER_SECOND)
    return max(1, int(min(duration * POINTS_PER_SECOND, most)))


def _measure_points(path: Path, edges: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """RMS and peaks [2, points] of the points between the edges, in seconds."""
    samples = pcm.read_samples(path, edges[0], edges[-1]).astype(np.float32) / 32768
    starts = np.round((edges - edges[0]) * pcm.SAMPLE_RATE_HZ).astype(int)
    samples = np.append(samples, np.zeros(max(1, starts[-1] - samples.size), np.float32))
    lengths = np.maximum(np.diff(starts), 1)
    power = np.add.reduceat(np.square(samples, dtype=np.float64), starts[:-1])
    return np.stack([np.sqrt(power / lengths), np.maximum.reduceat(np.abs(samples), starts[:-1])])
