"""Where several people speak at once, and who is the other one.

The turns of the embedded diarizer have one speaker at each moment. The segmentation hears several,
but knows them for a few seconds only: each of its speakers is the one of the turns who speaks
while nobody else of the segmentation does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from gpu import pcm
from gpu.diarization.segmentation import (
    BATCH,
    CHUNK_SAMPLES,
    FRAME_SAMPLES,
    FRAME_STEP,
    FRAMES,
    RATE_HZ,
    Segmentation,
)
from gpu.diarization.types import Turn
from gpu.types import Audio, Span

FRAME_S = FRAME_STEP / RATE_HZ
CHUNK_S = CHUNK_SAMPLES / RATE_HZ
HEARD_S = FRAME_SAMPLES / RATE_HZ  # of what a frame has heard; it stands for the middle
ACTIVE = 0.5  # probability
MIN_OVERLAP_S = 0.1

Array = np.ndarray[Any, np.dtype[np.float32]]
Numbers = np.ndarray[Any, np.dtype[np.intp]]


@dataclass(slots=True)
class Overlaps:
    """What the segmentation has heard of a recording so far. Frames count from its start."""

    segmentation: Segmentation
    step: int  # frames between two chunks
    _chunks: dict[int, Array] = field(default_factory=dict)  # activities, by the first frame
    _pending: list[tuple[int, Array]] = field(default_factory=list)
    _next: int = 0  # the first frame of the next chunk

    def add(self, audio: Audio, span: Span) -> None:
        """Hear the next span of speech."""
        steps_before = math.floor((span.start - CHUNK_S) / (self.step * FRAME_S))
        earliest = max(self._next, (steps_before + 1) * self.step)
        for first in range(earliest, math.ceil(span.end / FRAME_S), self.step):
            start = first * FRAME_S
            samples = pcm.read_resampled(audio.path, start, start + CHUNK_S, RATE_HZ)
            chunk = samples[:CHUNK_SAMPLES]
            self._pending.append((first, np.pad(chunk, (0, CHUNK_SAMPLES - len(chunk)))))
            self._next = first + self.step
            if len(self._pending) == BATCH:
                self._hear()

    def _hear(self) -> None:
        if self._pending:
            starts, chunks = zip(*self._pending, strict=True)
            self._chunks |= zip(starts, self.segmentation.activities(np.stack(chunks)), strict=True)
            self._pending.clear()

    def shares(self, spans: Sequence[Span]) -> Array:
        """The share of each span in which several people speak."""
        self._hear()
        count = max(self._chunks) + FRAMES
        total = np.concatenate([[0], np.cumsum(self._probability(count) > ACTIVE)])
        first, last = (
            np.clip([_frame(edge) for edge in edges], 0, count)
            for edges in ([span.start for span in spans], [span.end for span in spans])
        )
        return np.asarray((total[last] - total[first]) / np.maximum(last - first, 1), np.float32)

    def turns(self, turns: Sequence[Turn]) -> Iterator[Turn]:
        """The turns of those who speak at the same time as the speakers of these turns."""
        self._hear()
        if len({turn.speaker for turn in turns}) < 2:
            return
        count = max(max(self._chunks) + FRAMES, *(_frame(turn.end) for turn in turns))
        speakers = np.zeros(count, np.intp)  # of each frame; 0: nobody
        for turn in turns:
            speakers[_frame(turn.start) : _frame(turn.end)] = turn.speaker
        has_overlap = self._probability(count) > ACTIVE
        for first, last in _runs(has_overlap * speakers):
            if (last - first) * FRAME_S >= MIN_OVERLAP_S:
                other = self._other(first, last, speakers)
                yield Turn(_seconds(first), _seconds(last), other, is_quieter=True)

    def _probability(self, count: int) -> Array:
        """How probably two people speak in each frame: the mean of the chunks that heard it."""
        total, heard = np.zeros((2, count), np.float32)
        for first, activities in self._chunks.items():
            total[first : first + FRAMES] += np.sort(activities, axis=1)[:, -2]
            heard[first : first + FRAMES] += 1
        return np.asarray(total / np.maximum(heard, 1), np.float32)

    def _other(self, first: int, last: int, speakers: Numbers) -> int:
        """Who speaks from frame `first` until `last` besides their speaker."""
        start = self._chunk_around(first, last)
        activities = self._chunks[start]
        heard = slice(max(0, first - start), last - start)
        both = activities[heard].mean(axis=0).argsort()[-2:]
        is_active = activities > ACTIVE
        is_alone = is_active[:, both].any(axis=1) & (is_active.sum(axis=1) == 1)
        alone = speakers[start : start + FRAMES][is_alone]
        others = np.bincount(alone[(alone != 0) & (alone != speakers[first])], minlength=1)
        return int(others.argmax()) or _nearest(speakers, first)

    def _chunk_around(self, first: int, last: int) -> int:
        """The chunk that has the frames nearest to its middle."""
        middle = (first + last - FRAMES) / 2
        near = round(middle / self.step)
        starts = [number * self.step for number in range(near - 2, near + 3)]
        return min(
            (start for start in starts if start in self._chunks),
            key=lambda start: abs(start - middle),
        )


def _nearest(speakers: Numbers, frame: int) -> int:
    """The nearest other speaker than that of a frame."""
    (others,) = np.nonzero((speakers > 0) & (speakers != speakers[frame]))
    return int(speakers[others[np.abs(others - frame).argmin()]])


def _runs(values: Numbers) -> Iterator[tuple[int, int]]:
    """First and last (exclusive) of each run of one value that is not 0."""
    edges = [0, *(np.nonzero(np.diff(values))[0] + 1), len(values)]
    yield from ((int(a), int(b)) for a, b in pairwise(edges) if a < b and values[a])


def _frame(seconds: float) -> int:
    return max(0, round((seconds - HEARD_S / 2) / FRAME_S + 0.5))


def _seconds(frame: int) -> float:
    return round((frame - 0.5) * FRAME_S + HEARD_S / 2, 3)
