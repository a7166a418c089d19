"""Words that are spoken at the same time on different channels. Imports no Django."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby

from transcriptions.exports.transcript import TimedWord

# A shorter overlap only delays the second segment: hardly anyone notices, and subtitles that follow
# each other are easier to read than two at the same time.
MAX_OVERLAP_S = 0.25


def sequences(words: Iterable[TimedWord]) -> list[list[TimedWord]]:
    """The words, divided into as few sequences as possible in which segments of different channels
    do not overlap by more than MAX_OVERLAP_S. Words are in order of segments, and these in order of
    their start. Without such overlaps, there is one sequence."""
    found = list[_Sequence]()
    for _, group in groupby(words, key=lambda word: (word.segment, word.channel)):
        segment = [*group]
        free = [sequence for sequence in found if sequence.can_continue_with(segment[0])]
        # The one that has just ended: its last subtitle makes room for the next one.
        latest = max(free, key=lambda sequence: sequence.end, default=None)
        if latest is None:
            found.append(latest := _Sequence())
        latest.add(segment)
    return [sequence.words for sequence in found]


@dataclass(slots=True)
class _Sequence:
    words: list[TimedWord] = field(default_factory=list)
    end: float = 0.0  # of the speech, in seconds

    def can_continue_with(self, word: TimedWord) -> bool:
        is_same_channel = self.words[-1].channel == word.channel
        return is_same_channel or word.start >= self.end - MAX_OVERLAP_S

    def add(self, segment: list[TimedWord]) -> None:
        self.words += segment
        self.end = max(self.end, *(word.end for word in segment))
