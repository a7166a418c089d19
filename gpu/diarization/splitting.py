"""Divides the speech of one supposed speaker between the two voices in it.

Whole stretches are compared, not windows: the vector of a window depends on its sounds, that of a
longer stretch on its speaker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gpu import pcm
from gpu.diarization import voices
from gpu.diarization.clustering import Group, Labels, halves
from gpu.diarization.encoder import FRAMES_PER_SECOND, RATE_HZ
from gpu.diarization.turns import windows
from gpu.types import Span

MAX_STRETCH_S = 6.0  # of each stretch that is used: more hardly changes its vector
MIN_PART = 2  # stretches: one alone may be a laugh, or a noise
# The measured relative similarity (see `Group`) was at least 0.88 for parts of one voice, and at
# most 0.80 for two voices: see "Two voices in one speaker" in benchmarks/results/README.md.
CLEAR_BELOW = 0.85

Array = np.ndarray[Any, np.dtype[np.float32]]
Stretch = Sequence[Span]


@dataclass(frozen=True, slots=True)
class TwoVoices:
    """The indices of the stretches of each voice. The first voice speaks longer."""

    parts: tuple[list[int], list[int]]
    similarity: float  # about 1 if they are one voice

    @property
    def is_clear(self) -> bool:
        """Whether they are less similar than parts of one voice."""
        return self.similarity < CLEAR_BELOW


def two_voices(
    path: Path, stretches: Sequence[Stretch], check: Callable[[], None]
) -> TwoVoices | None:
    """Divide stretches of a prepared WAV, each of one or more spans, in order of time. None if too
    few are long enough. `check` is called for each stretch. Raises EngineUnavailable, and what
    `check` raises."""
    vectors = list(_vectors(path, stretches, check))
    heard = [place for place, vector in enumerate(vectors) if vector is not None]
    if len(heard) < 2 * MIN_PART:
        return None
    found = np.stack([vector for vector in vectors if vector is not None])
    choices = [labels for labels in halves(found) if _smallest(labels) >= MIN_PART]
    if not choices:
        return None
    similarity, labels = min(
        ((_similarity(found, labels), labels) for labels in choices), key=lambda pair: pair[0]
    )
    return TwoVoices(_parts(stretches, dict(zip(heard, labels, strict=True))), similarity)


def _vectors(
    path: Path, stretches: Sequence[Stretch], check: Callable[[], None]
) -> Iterator[Array | None]:
    """The vector of each stretch; None if it is too short."""
    encoder, step = voices.encoder(), round(voices.STEP_S * FRAMES_PER_SECOND)
    for stretch in stretches:
        check()
        samples = _samples(path, stretch)
        if samples.size < voices.MIN_SPAN_S * RATE_HZ:
            yield None
        else:
            yield voices.mean(encoder.vectors(windows(encoder.spectra(samples), step)))


def _samples(path: Path, stretch: Stretch) -> Array:
    """The first samples of the spans, concatenated, at RATE_HZ."""
    found, left = [np.zeros(0, np.float32)], MAX_STRETCH_S
    for span in stretch:
        if left <= 0:
            break
        end = min(span.end, span.start + left)
        found.append(pcm.read_resampled(path, span.start, end, RATE_HZ))
        left -= end - span.start
    return np.concatenate(found)


def _smallest(labels: Labels) -> int:
    return int(np.bincount(labels, minlength=2).min())


def _similarity(vectors: Array, labels: Labels) -> float:
    one, other = (Group.of(vectors[labels == label], 0) for label in (0, 1))
    return one.similarity(other)


def _parts(stretches: Sequence[Stretch], labels: dict[int, int]) -> tuple[list[int], list[int]]:
    """The indices of the stretches of both voices. A short stretch gets the voice of the one before
    it."""
    parts: tuple[list[int], list[int]] = ([], [])
    label = labels[min(labels)]
    for place in range(len(stretches)):
        label = labels.get(place, label)
        parts[label].append(place)
    seconds = [sum(s.end - s.start for place in part for s in stretches[place]) for part in parts]
    return parts if seconds[0] >= seconds[1] else (parts[1], parts[0])
