"""Divides spans of speech into windows, whose voices are compared, and turns the speakers of
windows into turns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any

import numpy as np

from gpu.diarization.encoder import FRAMES_PER_SECOND, WINDOW_FRAMES
from gpu.diarization.types import Turn

CHANGE_MARGIN_S = 0.2  # around the middle of two windows, where the change is searched
SMOOTHING_FRAMES = 5
SILENCE_DB = 30.0  # below the loud frames of a span
MIN_SILENCE_S = 0.3  # that ends a turn

Array = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True, slots=True)
class SpeechSpan:
    """A span of speech with the loudness of its frames in decibels, which are 10 ms long."""

    start: float
    end: float
    loudness: Array
    centers: tuple[float, ...]  # of its windows, in seconds from the start of the recording

    @classmethod
    def of(cls, start: float, end: float, spectra: Array, step_frames: int) -> SpeechSpan:
        """Create from the power of its frames in mel bands [frames, bands]."""
        half = min(WINDOW_FRAMES, len(spectra)) / 2 / FRAMES_PER_SECOND
        offsets = [first / FRAMES_PER_SECOND for first in _offsets(len(spectra), step_frames)]
        loudness = 10 * np.log10(spectra.sum(axis=1) + 1e-12)
        return cls(start, end, loudness, tuple(start + offset + half for offset in offsets))


def windows(spectra: Array, step_frames: int) -> Array:
    """The windows of a span [n, WINDOW_FRAMES, bands]. A shorter span is repeated."""
    if len(spectra) < WINDOW_FRAMES:
        repeated = np.tile(spectra, (-(-WINDOW_FRAMES // len(spectra)), 1))
        return repeated[None, :WINDOW_FRAMES]
    starts = _offsets(len(spectra), step_frames)
    return np.stack([spectra[first : first + WINDOW_FRAMES] for first in starts])


def _offsets(frames: int, step_frames: int) -> list[int]:
    """The first frames of the windows; the last one ends with the span."""
    last = max(0, frames - WINDOW_FRAMES)
    starts = [*range(0, last + 1, step_frames)]
    return starts if starts[-1] == last else [*starts, last]


def turns(spans: Sequence[SpeechSpan], speakers: Sequence[int]) -> Iterator[Turn]:
    """The turns, given the speaker of each window of all spans. They end where it is silent."""
    given = iter(speakers)
    for span in spans:
        found = [(center, next(given)) for center in span.centers]
        for start, end, speaker in _stretches(span, found):
            yield from (Turn(first, last, speaker) for first, last in _loud(span, start, end))


def _stretches(
    span: SpeechSpan, windows: Sequence[tuple[float, int]]
) -> Iterator[tuple[float, float, int]]:
    """Start, end and speaker of each run of windows with one speaker."""
    runs = [list(run) for _, run in groupby(windows, key=lambda window: window[1])]
    changes = [_change(span, one[-1][0], next_[0][0]) for one, next_ in pairwise(runs)]
    edges = [span.start, *changes, span.end]
    for run, (start, end) in zip(runs, pairwise(edges), strict=True):
        yield start, end, run[0][1]


def _change(span: SpeechSpan, before: float, after: float) -> float:
    """The quietest moment near the middle between two windows with different speakers."""
    middle, reach = (before + after) / 2, (after - before) / 2 + CHANGE_MARGIN_S
    first = max(0, round((middle - reach - span.start) * FRAMES_PER_SECOND))
    last = round((middle + reach - span.start) * FRAMES_PER_SECOND)
    loudness = span.loudness[first : last + 1]
    if len(loudness) <= SMOOTHING_FRAMES:
        return middle
    smooth = np.convolve(loudness, np.full(SMOOTHING_FRAMES, 1 / SMOOTHING_FRAMES), "valid")
    quietest = first + int(smooth.argmin()) + SMOOTHING_FRAMES // 2
    return span.start + quietest / FRAMES_PER_SECOND


def _loud(span: SpeechSpan, start: float, end: float) -> Iterator[tuple[float, float]]:
    """Parts of a stretch without longer silence. This also removes silence that counts as speech
    because it is short, or at the edge of a span."""
    first, last = (round((t - span.start) * FRAMES_PER_SECOND) for t in (start, end))
    threshold = np.percentile(span.loudness, 95) - SILENCE_DB
    (loud,) = np.nonzero(span.loudness[first:last] > threshold)
    if not loud.size:
        yield start, end
        return
    gaps = np.nonzero(np.diff(loud) > MIN_SILENCE_S * FRAMES_PER_SECOND)[0]
    for begin, finish in zip([0, *(gaps + 1)], [*gaps, loud.size - 1], strict=True):
        yield (
            start + int(loud[begin]) / FRAMES_PER_SECOND,
            min(end, start + (int(loud[finish]) + 1) / FRAMES_PER_SECOND),
        )
