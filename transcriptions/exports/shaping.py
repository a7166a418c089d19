"""Divides the words of a transcript into cues. Imports no Django."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from transcriptions.exports.cues import Cue, Line
from transcriptions.exports.profiles import Profile
from transcriptions.exports.transcript import TimedWord


def shape(
    words: Sequence[TimedWord], profile: Profile, *, language: str = "", frame_rate: float = 1000.0
) -> list[Cue]:
    """The cues of all words, in order. Times are multiples of a frame; without a frame rate, of
    a millisecond."""
    grouped = (tuple(group) for _, group in groupby(words, key=lambda word: word.segment))
    return [Cue(group[0].start, group[-1].end, (Line(group),)) for group in grouped]
