"""Who speaks at each moment of a few seconds, also several people at once, computed with NumPy.

The network is the one that Bredin and Laurent trained, "End-to-end speaker segmentation for
overlap-aware resegmentation" (2021): a SincNet (Ravanelli and Bengio, 2018), four LSTM layers in
both directions, and two linear ones. It hears 5 s, and tells up to three speakers apart in them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gpu.diarization import lstm, weights

RATE_HZ = 16_000
CHUNK_SAMPLES = 80_000  # 5 s, as in training
FRAME_STEP, FRAME_SAMPLES = 270, 991  # of what one frame of the result has heard
FRAMES = 293  # of a chunk
SPEAKERS = 3
BATCH = 32  # chunks
FILTER_STEP, POOL = 10, 3
MIN_HZ = 50.0  # of the low edge of a filter, and of its width
SLOPE = 0.01  # of a leaky rectifier below zero
EPSILON = 1e-5  # added to a variance

Array = np.ndarray[Any, np.dtype[np.float32]]


class Segmentation:
    """Loaded once for a process. Thread-safe."""

    def __init__(self) -> None:
        """Raises EngineUnavailable."""
        self._weights = found = weights.read(weights.SEGMENTATION)
        self._filters = np.ascontiguousarray(_filters(found).T)
        self._kernels = [
            found[f"sincnet.conv1d.{index}.weight"].transpose(2, 1, 0) for index in (1, 2)
        ]
        self._layers = [
            (lstm.layer(found, f"l{index}"), lstm.layer(found, f"l{index}_reverse"))
            for index in range(4)
        ]

    def activities(self, chunks: Array) -> Array:
        """How probably each speaker of a chunk speaks in each of its frames: [n, FRAMES, SPEAKERS],
        for chunks [n, CHUNK_SAMPLES] at 16 kHz in -1..1. Which one is the first is by chance."""
        parts = [np.zeros((0, FRAMES, SPEAKERS), np.float32)]
        parts += [self._activities(batch) for batch in _batches(chunks)]
        # In digital silence the network would hear rounding errors, which it amplifies.
        has_sound = np.asarray(chunks.any(axis=1))
        return np.concatenate(parts) * has_sound[:, None, None]

    def _activities(self, chunks: Array) -> Array:
        found = self._weights
        x = np.stack([self._features(chunk) for chunk in chunks], axis=1)  # [frames, n, ...]
        for forward, backward in self._layers:
            x = np.concatenate([lstm.run(x, forward), lstm.run(x[::-1], backward)[::-1]], axis=2)
        for index in range(2):
            x = _rectified(x @ found[f"linear.{index}.weight"].T + found[f"linear.{index}.bias"])
        x = x @ found["classifier.weight"].T + found["classifier.bias"]
        return np.asarray((0.5 + 0.5 * np.tanh(x / 2)).transpose(1, 0, 2), np.float32)

    def _features(self, samples: Array) -> Array:
        """[FRAMES, 60]"""
        x = self._normalized(samples[:, None], "wav_norm1d")[:, 0]
        windows = np.lib.stride_tricks.sliding_window_view(x, len(self._filters))[::FILTER_STEP]
        x = self._pooled(np.abs(windows @ self._filters), 0)
        for index, kernel in enumerate(self._kernels, 1):
            count = len(x) - len(kernel) + 1
            heard = sum(x[first : first + count] @ part for first, part in enumerate(kernel))
            x = self._pooled(heard + self._weights[f"sincnet.conv1d.{index}.bias"], index)
        return x

    def _pooled(self, x: Array, index: int) -> Array:
        count = len(x) // POOL
        highest = x[: count * POOL].reshape(count, POOL, -1).max(axis=1)
        return _rectified(self._normalized(highest, f"norm1d.{index}"))

    def _normalized(self, x: Array, name: str) -> Array:
        """Each channel of [samples, channels] by its mean and variance."""
        scale, bias = (self._weights[f"sincnet.{name}.{kind}"] for kind in ("weight", "bias"))
        factor = scale / np.sqrt(x.var(axis=0) + EPSILON)
        return np.asarray((x - x.mean(axis=0)) * factor + bias, np.float32)


def _filters(found: dict[str, Array]) -> Array:
    """Band-pass filters [80, 251]: the cosine and sine parts of 40 bands, whose edges were learned.
    Only their left halves are computed: they are symmetric, and antisymmetric."""
    bank = {name: found[f"sincnet.conv1d.0.filterbank.{name}"] for name in _BANK}
    low = MIN_HZ + np.abs(bank["low_hz_"])
    high = np.clip(low + MIN_HZ + np.abs(bank["band_hz_"]), MIN_HZ, RATE_HZ / 2)
    from_low, from_high, scale = low @ bank["n_"], high @ bank["n_"], bank["window_"] * 2
    cosine = (np.sin(from_high) - np.sin(from_low)) / bank["n_"] * scale
    sine = (np.cos(from_low) - np.cos(from_high)) / bank["n_"] * scale
    width = 2 * (high - low)
    symmetric = np.concatenate([cosine, width, cosine[:, ::-1]], axis=1)
    antisymmetric = np.concatenate([sine, np.zeros_like(width), -sine[:, ::-1]], axis=1)
    return np.asarray(np.concatenate([symmetric / width, antisymmetric / width]), np.float32)


_BANK = ("low_hz_", "band_hz_", "n_", "window_")


def _rectified(x: Array) -> Array:
    return np.asarray(np.maximum(x, SLOPE * x), np.float32)


def _batches(chunks: Array) -> Iterator[Array]:
    for start in range(0, len(chunks), BATCH):
        yield chunks[start : start + BATCH]
