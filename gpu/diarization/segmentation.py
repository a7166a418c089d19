"""Who speaks at each moment of a few seconds, also several people at once.

The network is the one that Bredin and Laurent trained, "End-to-end speaker segmentation for
overlap-aware resegmentation" (2021): a SincNet (Ravanelli and Bengio, 2018), four LSTM layers in
both directions, and two linear ones. It hears 5 s, and tells up to three speakers apart in them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gpu.diarization import weights
from gpu.diarization.network import Graph, Network

RATE_HZ = 16_000
CHUNK_SAMPLES = 80_000  # 5 s, as in training
FRAME_STEP, FRAME_SAMPLES = 270, 991  # of what one frame of the result has heard
FRAMES = 293  # of a chunk
SPEAKERS = 3
BATCH = 4  # chunks: the fastest on one core
FILTER_STEP, POOL = 10, 3
MIN_HZ = 50.0  # of the low edge of a filter, and of its width
SLOPE = 0.01  # of a leaky rectifier below zero
EPSILON = 1e-5  # added to a variance

Array = np.ndarray[Any, np.dtype[np.float32]]


class Segmentation:
    """Loaded once for a process. Thread-safe."""

    def __init__(self) -> None:
        """Raises EngineUnavailable."""
        self._network = _network(weights.read(weights.SEGMENTATION))

    def activities(self, chunks: Array) -> Array:
        """How probably each speaker of a chunk speaks in each of its frames: [n, FRAMES, SPEAKERS],
        for chunks [n, CHUNK_SAMPLES] at 16 kHz in -1..1. Which one is the first is by chance."""
        parts = [np.zeros((0, FRAMES, SPEAKERS), np.float32)]
        parts += [self._network(batch) for batch in _batches(chunks)]
        # In digital silence the network would hear rounding errors, which it amplifies.
        has_sound = np.asarray(chunks.any(axis=1))
        return np.concatenate(parts) * has_sound[:, None, None]


def _network(found: dict[str, Array]) -> Network:
    """From chunks [n, CHUNK_SAMPLES] to probabilities [n, FRAMES, SPEAKERS]."""
    graph = Graph()
    graph.add("Unsqueeze", np.array([1]))
    _add_normalization(graph, found, "wav_norm1d")
    graph.add("Conv", filters(found)[:, None], strides=[FILTER_STEP])
    graph.add("Abs")
    _add_pooling(graph, found, 0)
    for index in (1, 2):
        kernel, bias = (found[f"sincnet.conv1d.{index}.{kind}"] for kind in ("weight", "bias"))
        graph.add("Conv", kernel, bias)
        _add_pooling(graph, found, index)
    graph.add("Transpose", perm=[2, 0, 1])  # to [frames, n, 60]
    for index in range(4):
        graph.add_lstm(found, f"l{index}", f"l{index}_reverse")
    for index in range(2):
        _add_linear(graph, found, f"linear.{index}")
        graph.add("LeakyRelu", alpha=SLOPE)
    _add_linear(graph, found, "classifier")
    graph.add("Sigmoid")
    graph.add("Transpose", perm=[1, 0, 2])
    return graph.network(["n", CHUNK_SAMPLES], ["n", FRAMES, SPEAKERS])


def _add_pooling(graph: Graph, found: dict[str, Array], index: int) -> None:
    graph.add("MaxPool", kernel_shape=[POOL], strides=[POOL])
    _add_normalization(graph, found, f"norm1d.{index}")
    graph.add("LeakyRelu", alpha=SLOPE)


def _add_normalization(graph: Graph, found: dict[str, Array], name: str) -> None:
    scale, bias = (found[f"sincnet.{name}.{kind}"] for kind in ("weight", "bias"))
    graph.add("InstanceNormalization", scale, bias, epsilon=EPSILON)


def _add_linear(graph: Graph, found: dict[str, Array], name: str) -> None:
    graph.add("MatMul", found[f"{name}.weight"].T)
    graph.add("Add", found[f"{name}.bias"])


def filters(found: dict[str, Array]) -> Array:
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


def _batches(chunks: Array) -> Iterator[Array]:
    for start in range(0, len(chunks), BATCH):
        yield chunks[start : start + BATCH]
