"""Moves the edges of words to where their sound begins and ends.

Before a pause, the model's times are accurate to a fifth of a second: it ends a word within its
last sound, or where the next word begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from gpu.whisper.decoded import SAMPLE_RATE_HZ, DecodedWord, Samples

FRAME_S = 0.01
# A frame is silent if its level in decibels is below this share of the range from the quiet to the
# loud frames of the window. The quiet ones are the background, which is not silent in most
# recordings.
SILENT_SHARE = 0.35
QUIET_PERCENTILE, LOUD_PERCENTILE = 5, 95
MIN_RANGE_DB = 12.0  # between the two; otherwise nothing is changed
MIN_PAUSE_S = 0.08  # within words there are shorter ones, before a plosive
KEPT_S = 0.02  # of the silence at the edge of a word
MAX_ADDED_S = 0.5  # to the end of a word
MIN_WORD_S = 0.06

Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]


def refine(words: Sequence[DecodedWord], samples: Samples) -> list[DecodedWord]:
    """The words, which now end with their sound before a pause, and begin with it after one."""
    sound = _sound(samples)
    if sound is None:
        return list(words)
    limits = [*(word.start for word in words[1:]), len(samples) / SAMPLE_RATE_HZ]
    return [_refine(word, limit, sound) for word, limit in zip(words, limits, strict=False)]


def _sound(samples: Samples) -> Mask | None:
    """Whether each frame has sound, or is in a short pause within it; None if the window has no
    loud and quiet frames."""
    length = round(FRAME_S * SAMPLE_RATE_HZ)
    frames = samples[: len(samples) // length * length].reshape(-1, length)
    if not len(frames):
        return None
    level = 10 * np.log10(np.mean(np.square(frames), axis=1) + 1e-8)
    quiet, loud = np.percentile(level, [QUIET_PERCENTILE, LOUD_PERCENTILE])
    if loud - quiet < MIN_RANGE_DB:
        return None
    sound: Mask = level > quiet + SILENT_SHARE * (loud - quiet)
    for one, two in pairwise(np.flatnonzero(sound)):
        if 1 < two - one <= MIN_PAUSE_S / FRAME_S:
            sound[one:two] = True
    return sound


def _refine(word: DecodedWord, limit: float, sound: Mask) -> DecodedWord:
    """`limit` is where the next word begins."""
    first, last = round(word.start / FRAME_S), round(word.end / FRAME_S)
    inside = np.flatnonzero(sound[first:last])
    if not inside.size:
        return word
    start, end = word.start, word.end
    if inside[0] > 0:
        start = max(start, (first + int(inside[0])) * FRAME_S - KEPT_S)
    if first + inside[-1] + 1 < last:
        end = min(end, (first + int(inside[-1]) + 1) * FRAME_S + KEPT_S)
    else:
        after = sound[last : last + round(MAX_ADDED_S / FRAME_S)]
        added = len(after) if after.all() else int(np.argmin(after))
        end = max(end, min(limit, end + added * FRAME_S))
    if end - start < MIN_WORD_S:
        return word
    return replace(word, start=round(start, 3), end=round(end, 3))
