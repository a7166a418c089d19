"""The voice of a stretch of speech as a vector.

The encoder is that of Wan et al., "Generalized end-to-end loss for speaker verification" (2018): 40
mel bands through three LSTM layers of 256 cells. Vectors of one voice point in one direction.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gpu.diarization import weights
from gpu.diarization.network import Graph, Network

RATE_HZ = 16_000
FRAME_SAMPLES, FRAME_STEP = 400, 160  # of a spectrum: 25 ms, every 10 ms
FRAMES_PER_SECOND = RATE_HZ // FRAME_STEP
WINDOW_FRAMES = 160  # of a vector: 1.6 s
BANDS, VECTOR_SIZE = 40, 256
BATCH = 16  # windows: the fastest on one core, and few enough to need little memory
# The power to which a window is amplified, summed over the bands and averaged over the frames: that
# of white noise at -15 dBFS. Each window is amplified separately, because speakers are not equally
# loud.
POWER = 4.5

Array = np.ndarray[Any, np.dtype[np.float32]]


class VoiceEncoder:
    """Loaded once for a process. Thread-safe."""

    def __init__(self) -> None:
        """Raises EngineUnavailable."""
        from faster_whisper.feature_extractor import FeatureExtractor

        found = weights.read(weights.VOICE_ENCODER)
        filters = FeatureExtractor.get_mel_filters(RATE_HZ, FRAME_SAMPLES, BANDS)
        self._filters = filters.T.astype(np.float32)
        self._taper = np.hanning(FRAME_SAMPLES + 1)[:-1].astype(np.float32)
        self._network = _network(found)

    def spectra(self, samples: Array) -> Array:
        """The power in mel bands [frames, 40] of samples at 16 kHz in -1..1, FRAMES_PER_SECOND."""
        padded = np.pad(samples, FRAME_SAMPLES // 2)
        frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME_SAMPLES)[::FRAME_STEP]
        power = np.abs(np.fft.rfft(frames * self._taper)) ** 2
        return np.asarray(power @ self._filters, np.float32)

    def vectors(self, windows: Array) -> Array:
        """A unit vector for each window of spectra [n, WINDOW_FRAMES, 40]: [n, 256]. Loudness does
        not matter."""
        parts = [np.zeros((0, VECTOR_SIZE), np.float32)]
        parts += [self._encoded(batch) for batch in _batches(windows)]
        return np.concatenate(parts)

    def _encoded(self, windows: Array) -> Array:
        power = windows.sum(axis=2).mean(axis=1)
        amplified = windows * (POWER / np.maximum(power, 1e-9))[:, None, None].astype(np.float32)
        return self._network(amplified)


def _network(found: dict[str, Array]) -> Network:
    """From windows [n, WINDOW_FRAMES, BANDS] to unit vectors [n, VECTOR_SIZE]."""
    graph = Graph()
    graph.add("Transpose", perm=[1, 0, 2])
    for index in range(3):
        graph.add_lstm(found, f"l{index}")
    graph.add("Gather", np.array(-1), axis=0)  # the state after the last frame
    graph.add("Gemm", found["linear.weight"], found["linear.bias"], transB=1)
    graph.add("Relu")
    graph.add("LpNormalization", axis=1)
    return graph.network(["n", WINDOW_FRAMES, BANDS], ["n", VECTOR_SIZE])


def _batches(windows: Array) -> Iterator[Array]:
    for start in range(0, len(windows), BATCH):
        yield windows[start : start + BATCH]
