"""Who says which word. Imports no Django."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise
from typing import Protocol

from gpu.diarization.types import Turn
from gpu.types import Segment, Span, Word

OVERLAP_SHARE = 0.5  # of a word, in which somebody else speaks too


class SpeakerOf(Protocol):
    """The speaker of a word, and whether someone else speaks at the same time."""

    def __call__(self, word: Word) -> int | None: ...

    def has_overlap(self, word: Word) -> bool: ...


class _Timed(Protocol):
    @property
    def start(self) -> float: ...

    @property
    def end(self) -> float: ...


@dataclass(slots=True)
class ChannelSpeakers:
    """Each channel is a speaker: numbered from 1 in the order in which they first speak. Overlap is
    only known with all words."""

    _numbers: dict[int, int] = field(default_factory=dict)
    _turns: Turns | None = None

    @classmethod
    def of(cls, channels: Iterable[int | None]) -> ChannelSpeakers:
        """Create after segments of these channels."""
        order = dict.fromkeys(channel for channel in channels if channel is not None)
        return cls({channel: number for number, channel in enumerate(order, 1)})

    @classmethod
    def with_words(cls, words: Iterable[Word]) -> ChannelSpeakers:
        """Create for a complete recording."""
        spoken = [Turn(w.start, w.end, w.channel) for w in words if w.channel is not None]
        return cls(_turns=Turns(spoken))

    def __call__(self, word: Word) -> int | None:
        """Call it for all words in order. None for one of all channels together."""
        if word.channel is None:
            return None
        return self._numbers.setdefault(word.channel, len(self._numbers) + 1)

    def has_overlap(self, word: Word) -> bool:
        return self._turns is not None and self._turns.have_overlap(word)


class Turns:
    """Turns, which may overlap, for fast access to those around a word."""

    def __init__(self, turns: Iterable[Turn]) -> None:
        self._turns = sorted(turns, key=_start)
        self._starts = [turn.start for turn in self._turns]
        # Of the turns up to each one, that which ends last.
        self._latest = list(accumulate(self._turns, _later))
        self._ends = [turn.end for turn in self._latest]

    def around(self, word: Word) -> list[Turn]:
        """The turns that overlap the word, and the nearest one on each side."""
        first = bisect_right(self._ends, word.start)
        last = bisect_left(self._starts, word.end, lo=first)
        before = self._latest[first - 1 : first] if first else []
        return [*before, *self._turns[first : last + 1]]

    def have_overlap(self, word: Word) -> bool:
        """Whether several people speak in a good part of the word."""
        turns = [turn for turn in self.around(word) if _overlap(turn, word) > 0]
        edges = sorted({min(max(t, word.start), word.end) for x in turns for t in (x.start, x.end)})
        seconds = 0.0
        for start, end in pairwise(edges):
            speakers = {each.speaker for each in turns if each.start <= start and each.end >= end}
            seconds += end - start if len(speakers) > 1 else 0.0
        return seconds > OVERLAP_SHARE * (word.end - word.start)


class TurnSpeakers:
    """A word is said by the speaker of the turn that covers most of it; if none does, by that of
    the nearest turn, first of all in the same span of speech. Of two that cover it, the louder one
    has it; if that is not known, the shorter one: an interjection. None after `until` (seconds)."""

    def __init__(self, turns: Iterable[Turn], spans: Iterable[Span], until: float) -> None:
        self._until = until
        turns = list(turns)
        self._turns = Turns(turn for turn in turns if not turn.is_quieter)
        self._all_turns = Turns(turns)
        self._spans = sorted(spans, key=_start)
        self._span_starts = [span.start for span in self._spans]

    def __call__(self, word: Word) -> int | None:
        """The speaker of the word; None if unknown."""
        near = self._turns.around(word) if word.end <= self._until else []
        if not near:
            return None
        if not any(_overlap(turn, word) > 0 for turn in near):
            span = self._span_of(word)
            near = [turn for turn in near if span and _overlap(turn, span) > 0] or near
        return max(near, key=lambda turn: (_overlap(turn, word), turn.start - turn.end)).speaker

    def has_overlap(self, word: Word) -> bool:
        return word.end <= self._until and self._all_turns.have_overlap(word)

    def _span_of(self, word: Word) -> Span | None:
        count = bisect_right(self._span_starts, (word.start + word.end) / 2)
        span = self._spans[count - 1] if count else None
        return span if span and _overlap(span, word) >= 0 else None


def _start(timed: _Timed) -> float:
    return timed.start


def _later(one: Turn, other: Turn) -> Turn:
    return other if other.end > one.end else one


def _overlap(one: _Timed, other: _Timed) -> float:
    """Seconds; how far they are apart if it is negative."""
    return min(one.end, other.end) - max(one.start, other.start)


def by_speaker(segment: Segment, speaker_of: SpeakerOf) -> Iterator[Segment]:
    """The segment with the speakers of its words, divided where they change. A word whose speaker
    is not known ends no part."""
    parts: list[list[Word]] = [[]]
    speaker = None
    for word in segment.words:
        overlap = speaker_of.has_overlap(word)
        labeled = replace(word, speaker=speaker_of(word), overlap=overlap)
        if speaker and labeled.speaker not in (None, speaker):
            parts.append([])
        speaker = labeled.speaker or speaker
        parts[-1].append(labeled)
    yield from _parts(segment, parts)


def _parts(segment: Segment, parts: Sequence[Sequence[Word]]) -> Iterator[Segment]:
    # What the decoder knows is about the text of the whole segment.
    decoding = segment.decoding if len(parts) == 1 else None
    for words in parts:
        yield replace(segment, words=tuple(words), decoding=decoding)
