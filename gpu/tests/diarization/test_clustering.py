"""Clusters of vectors whose true speakers are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu.diarization.clustering import MAX_NODES, SpeakerLimits, cluster, k_means
from gpu.tests.diarization.errors import error_rate

STEP_S, WINDOW_S = 0.4, 1.6
Vectors = np.ndarray[Any, np.dtype[np.float32]]


def voices(turns: list[tuple[int, int]], seed: int = 0, noise: float = 0.55) -> Vectors:
    """Vectors of turns, each given as speaker and number of windows; speakers have random
    directions."""
    chance = np.random.default_rng(seed)
    directions = np.abs(chance.standard_normal((1 + max(s for s, _ in turns), 256)))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    spoken = np.concatenate([np.repeat(directions[[s]], count, axis=0) for s, count in turns])
    noisy = spoken + noise * chance.standard_normal(spoken.shape) / np.sqrt(256)
    return np.asarray(noisy / np.linalg.norm(noisy, axis=1, keepdims=True), np.float32)


def truth(turns: list[tuple[int, int]]) -> list[int]:
    return [speaker for speaker, count in turns for _ in range(count)]


def agree(labels: Any, expected: list[int]) -> float:
    """The share of vectors with the right label, under the best assignment."""
    frames = [(i / 100, (i + 1) / 100) for i in range(len(expected))]
    right = [(*frame, str(label)) for frame, label in zip(frames, expected, strict=True)]
    found = [(*frame, str(label)) for frame, label in zip(frames, labels, strict=True)]
    return 1 - error_rate(right, found).total


@pytest.mark.parametrize("speakers", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_speakers_are_counted(speakers: int, seed: int) -> None:
    turns = [(turn % speakers, 9 + turn % 4) for turn in range(8 * speakers)]
    labels = cluster(voices(turns, seed), STEP_S, WINDOW_S, SpeakerLimits())
    assert len(set(labels)) == speakers
    assert agree(labels, truth(turns)) == 1


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5])
def test_few_vectors_have_one_speaker(count: int) -> None:
    vectors = voices([(0, max(count, 1))])[:count]
    assert cluster(vectors, STEP_S, WINDOW_S, SpeakerLimits()).tolist() == [0] * count


@pytest.mark.slow
def test_long_recording_with_somebody_who_says_little() -> None:
    turns = [(turn % 3, 15) for turn in range(600)]
    turns[300] = (3, 25)
    vectors = voices(turns)
    assert len(vectors) > 20 * MAX_NODES
    labels = cluster(vectors, STEP_S, WINDOW_S, SpeakerLimits())
    assert len(set(labels)) == 4
    assert agree(labels, truth(turns)) == 1


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(1, 12)), min_size=1, max_size=30),
    st.integers(1, 6),
    st.integers(0, 4),
)
def test_limits_are_kept(turns: list[tuple[int, int]], minimum: int, more: int) -> None:
    vectors = voices(turns)
    labels = cluster(vectors, STEP_S, WINDOW_S, SpeakerLimits(minimum, minimum + more))
    assert len(labels) == len(vectors)
    assert min(minimum, len(vectors)) <= len(set(labels)) <= minimum + more


def test_order_of_speakers_does_not_matter() -> None:
    turns = [(turn % 3, 10) for turn in range(20)]
    vectors = voices(turns)
    forward = cluster(vectors, STEP_S, WINDOW_S, SpeakerLimits())
    backward = cluster(vectors[::-1], STEP_S, WINDOW_S, SpeakerLimits())[::-1]
    assert agree(backward, forward.tolist()) == 1


def test_equal_points_are_one_cluster_or_several() -> None:
    assert len(k_means(np.ones((5, 2), np.float32), 3)) == 5
