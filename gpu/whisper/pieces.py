"""Cuts a window into pieces, of which each is likely in one language."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from gpu.types import Span
from gpu.whisper.decoded import SAMPLE_RATE_HZ, Samples

# The model needs some seconds to detect a language, and a turn of a dialog takes a few seconds.
MIN_PIECE_S, MAX_PIECE_S = 2.0, 5.0
FRAME_S, SMOOTHED_FRAMES = 0.02, 11

Energies = np.ndarray[tuple[int], np.dtype[Any]]


def pieces_of(window: Span, spans: Sequence[Span], samples: Samples) -> Iterator[Span]:
    """Pieces of a window, each of at least MIN_PIECE_S if the window is that long.

    They are cut in the middle of a silence between two spans of speech. Those longer than
    MAX_PIECE_S are cut at their quietest moment: voice activity hears no short pauses.
    `samples` are those of the window, at SAMPLE_RATE_HZ.
    """
    energies = _energies(samples)
    inner = [span for span in spans if span.start < window.end and span.end > window.start]
    start = window.start
    for one, two in pairwise(inner):
        cut = (one.end + two.start) / 2
        if cut - start >= MIN_PIECE_S and window.end - cut >= MIN_PIECE_S:
            yield from _cut_when_long(Span(start, cut), window.start, energies)
            start = cut
    yield from _cut_when_long(Span(start, window.end), window.start, energies)


def _cut_when_long(piece: Span, origin: float, energies: Energies) -> Iterator[Span]:
    """`energies` begin at `origin`."""
    first = math.ceil((piece.start + MIN_PIECE_S - origin) / FRAME_S)
    last = math.floor((piece.end - MIN_PIECE_S - origin) / FRAME_S)
    if piece.end - piece.start <= MAX_PIECE_S or len(energies) <= first:
        yield piece
        return
    cut = origin + (first + int(energies[first:last].argmin()) + 0.5) * FRAME_S
    yield from _cut_when_long(Span(piece.start, cut), origin, energies)
    yield from _cut_when_long(Span(cut, piece.end), origin, energies)


def _energies(samples: Samples) -> Energies:
    """The energy of each frame, smoothed, so that the closure of a consonant is no pause."""
    size = round(FRAME_S * SAMPLE_RATE_HZ)
    frames = samples[: len(samples) // size * size].reshape(-1, size)
    weights = np.hanning(SMOOTHED_FRAMES + 2)[1:-1]
    if not len(frames):
        return np.zeros(0)
    energies: Energies = np.convolve((frames**2).mean(axis=1), weights, "same")
    return energies[: len(frames)]
