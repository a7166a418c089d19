"""Divides the words of a transcript into cues. Imports no Django.

One dynamic program finds the cues with the lowest cost: over the whole transcript, or over each
sequence of words if people speak at the same time on different channels. A violated norm costs more
than everything else together, so the norms are kept wherever a division of the words makes that
possible. Among divisions that keep them, the weights below decide.

The times of a cue follow from its words: see `cue_times`. So the cost of a cue depends only on its
own words and on the word that follows, except where a cue starts late for the sake of the one
before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from gpu.joining import separator
from gpu.segments import ends_sentence
from transcriptions.exports.cue_division import NEVER, VIOLATION, cheapest
from transcriptions.exports.cue_times import FAR, CueTimes
from transcriptions.exports.cues import TURN_MARK, Cue, Line
from transcriptions.exports.norms import MILLISECONDS, ROUNDING, Limits
from transcriptions.exports.overlaps import sequences
from transcriptions.exports.phrases import break_costs, divided_words
from transcriptions.exports.profiles import Profile
from transcriptions.exports.transcript import TimedWord
from transcriptions.exports.widths import line_width, reading_length

CUE = 1.0  # each cue: fewer cues are easier to watch
CUE_BREAK = 2.0  # times the cost of the break after its last word
LINE_BREAK = 1.0  # times the cost of the break between two lines
RAGGED = 2.0  # lines of different lengths, relative to the longest line allowed
NEW_SENTENCE = 0.6  # a sentence ends inside a cue and the next one begins
PAUSE = 1.5  # per second of silence between two words of a cue, beyond SHORT_PAUSE_S
SHORT_PAUSE_S = 0.4
LONG_PAUSE = 20.0  # a pause longer than the profile's `max_pause`
TURN = 1.0  # two speakers in a cue that is full; less in a short one

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def shape(
    words: Sequence[TimedWord],
    profile: Profile,
    *,
    language: str = "",
    frame_rate: float = MILLISECONDS,
) -> list[Cue]:
    """The cues of all words, in order of their start. Times are multiples of a frame; without a
    frame rate, of a millisecond.

    Cues overlap where segments of different channels do. Other words that overlap count as spoken
    after the one before.
    """
    cues = [
        cue
        for sequence in sequences(words)
        for cue in _sequence_cues(sequence, profile, language, frame_rate)
    ]
    return sorted(cues, key=lambda cue: cue.start)


def _sequence_cues(
    words: Sequence[TimedWord], profile: Profile, language: str, frame_rate: float
) -> list[Cue]:
    """The cues of words that follow each other. Cues do not overlap."""
    divided = divided_words(words, language)
    if not divided:
        return []
    text = _Text.of(divided, profile, language)
    limits = Limits.of(profile, frame_rate)
    times = CueTimes.of(text.words, limits)
    # A space between two lines takes up no room.
    windows = _Windows.of(text, (profile.max_line_chars + 1) * profile.max_lines - 1)
    lengths = _lengths(windows, text)
    costs = _line_costs(windows, text, profile) + _phrase_costs(windows, text, times, profile)
    cues, earliest = list[Cue](), 0
    for first, last, due, end in cheapest(costs, windows.last, lengths, times):
        # At least one frame long, even if words are too short for the gaps between them: players
        # reject a cue that ends where it starts.
        start = max(due, earliest)
        end = max(end, start + 1)
        lines = _lines(text, first, last, profile)
        cues.append(Cue(start / frame_rate, end / frame_rate, lines))
        earliest = end + limits.min_gap
    return cues


@dataclass(frozen=True, slots=True)
class _Text:
    """The words and their properties: arrays with one value for each word."""

    words: list[TimedWord]
    widths: list[float]  # on a line
    spaces: list[float]  # before it: 0 or 1
    breaks: list[float]  # the cost of a break after it
    is_sentence_end: list[bool]
    is_turn: list[bool]  # the speaker is not that of the word before
    reading: list[float]  # with the space before it

    @classmethod
    def of(cls, words: list[TimedWord], profile: Profile, language: str) -> _Text:
        before = [None, *words[:-1]]
        after = [*(word.text for word in words[1:]), ""]
        spaces = [float(_has_space(b, w)) for b, w in zip(before, words, strict=True)]
        return cls(
            words,
            [line_width(word.text) for word in words],
            spaces,
            break_costs(words, language, keep_phrases=profile.keep_phrases),
            [ends_sentence(word.text, text) for word, text in zip(words, after, strict=True)],
            [b is not None and b.speaker != w.speaker for b, w in zip(before, words, strict=True)],
            [
                reading_length(word.text, language) + space
                for word, space in zip(words, spaces, strict=True)
            ],
        )

    def width(self, first: int, last: int) -> float:
        """The width of a line from the first to the last word, inclusive."""
        return sum(self.widths[first : last + 1]) + sum(self.spaces[first + 1 : last + 1])


def _has_space(before: TimedWord | None, word: TimedWord) -> bool:
    return bool(before and not word.no_space_before and separator(before.text, word.text))


@dataclass(frozen=True, slots=True)
class _Windows:
    """All candidates for a cue: a row for each first word, a column for each number of words."""

    last: Ints  # the index of the last word of each
    is_inside: npt.NDArray[np.bool_]  # it does not go beyond the last word
    space: Floats  # before the first word: does not count

    @classmethod
    def of(cls, text: _Text, max_width: float) -> _Windows:
        count = len(text.words)
        last = np.arange(count)[:, None] + np.arange(min(_most_words(text, max_width), count))
        inside = last < count
        return cls(np.minimum(last, count - 1), inside, np.array(text.spaces)[:, None])

    def sums(self, values: npt.ArrayLike) -> Floats:
        """The sum of `values` over the words of each candidate."""
        total = np.concatenate(([0.0], np.cumsum(values)))
        return np.asarray(total[self.last + 1] - total[:-1][:, None])

    def inner_sums(self, values: npt.ArrayLike) -> Floats:
        """The same without the last word: over the breaks inside each candidate."""
        total = np.concatenate(([0.0], np.cumsum(values)))
        return np.asarray(total[self.last] - total[:-1][:, None])

    def turns(self, text: _Text) -> Floats:
        """How often the speaker changes within each candidate."""
        return self.inner_sums([*map(float, text.is_turn[1:]), 0.0])

    def widths(self, text: _Text) -> Floats:
        """The widths of the words on one line."""
        return self.sums(np.add(text.widths, text.spaces)) - self.space


def _most_words(text: _Text, max_width: float) -> int:
    """The largest number of consecutive words that may fit."""
    total = list(accumulate(map(sum, zip(text.widths, text.spaces, strict=True)), initial=0.0))
    most, first = 1, 0
    for last in range(len(text.words)):
        while first < last and total[last + 1] - total[first] - text.spaces[first] > max_width:
            first += 1
        most = max(most, last + 1 - first)
    return most


def _lengths(windows: _Windows, text: _Text) -> Floats:
    """The reading length of each candidate."""
    turns = windows.turns(text)
    marks = np.where(turns > 0, (turns + 1) * len(TURN_MARK), 0)
    return windows.sums(text.reading) - windows.space + marks


def _line_costs(windows: _Windows, text: _Text, profile: Profile) -> Floats:
    """The cost of the best lines of each candidate; NEVER if it does not fit."""
    widths = windows.widths(text)
    turns = windows.turns(text)
    limit = profile.max_line_chars
    line = np.where(
        (widths <= limit + ROUNDING) & (turns == 0), ((limit - widths) / limit) ** 2, NEVER
    )
    best, costs = line, np.where(line < NEVER, 0.0, NEVER)
    # A word that is longer than a line has its own line.
    line[:, 0] = np.minimum(line[:, 0], VIOLATION / RAGGED)
    costs[:, 0] = np.minimum(costs[:, 0], VIOLATION)
    for lines in range(2, profile.max_lines + 1):
        best = _with_another_line(line, best, text)
        even = lines * ((limit - widths / lines) / limit) ** 2
        ragged = np.maximum(RAGGED * (best - even), 0.0)
        costs = np.where((costs == NEVER) & (best < NEVER / 2), ragged, costs)
    if profile.two_speakers and profile.max_lines > 1:
        costs = _with_two_speakers(costs, windows, text, limit)
    return np.where(windows.is_inside, costs, NEVER)


def _with_another_line(line: Floats, rest: Floats, text: _Text) -> Floats:
    """The cost of each candidate with one line more than in `rest`."""
    best = np.full_like(line, NEVER)
    # Cues with two speakers are treated separately: see _with_two_speakers.
    breaks = np.where([*text.is_turn[1:], False], NEVER, text.breaks)
    count, columns = line.shape
    for words in range(1, columns):  # in the first line
        if words >= count:
            break
        first = line[: count - words, words - 1] + breaks[words - 1 : count - 1] * (
            LINE_BREAK / RAGGED
        )
        both = first[:, None] + rest[words:, : columns - words]
        np.minimum(best[:-words, words:], both, out=best[:-words, words:])
    return best


def _with_two_speakers(costs: Floats, windows: _Windows, text: _Text, limit: float) -> Floats:
    """Candidates with one change of speaker have a line for each speaker, with a mark before
    both."""
    turns = np.flatnonzero(text.is_turn)
    for turn in map(int, turns):
        for first in range(turn - 1, -1, -1):
            left = text.width(first, turn - 1) + len(TURN_MARK)
            if left > limit + ROUNDING or (first + 1 < turn and text.is_turn[first + 1]):
                break
            for last in range(turn, min(first + costs.shape[1], len(text.words))):
                right = text.width(turn, last) + len(TURN_MARK)
                if right > limit + ROUNDING or (last > turn and text.is_turn[last]):
                    break
                costs[first, last - first] = TURN * (left + right) / (2 * limit)
    return costs


def _phrase_costs(windows: _Windows, text: _Text, times: CueTimes, profile: Profile) -> Floats:
    """The cost of dividing the text after each candidate, and of keeping words together that do not
    belong together."""
    sentence_ends = windows.inner_sums([float(is_end) for is_end in text.is_sentence_end])
    pauses = (np.append(times.word_starts[1:], FAR) - times.word_ends) / times.limits.rate
    pauses[-1] = 0.0
    pause_costs = PAUSE * np.maximum(pauses - SHORT_PAUSE_S, 0)
    pause_costs = np.where(pauses > profile.max_pause, LONG_PAUSE, pause_costs)
    costs = CUE + CUE_BREAK * np.array(text.breaks)[windows.last]
    costs = costs + windows.inner_sums([float(cost) for cost in pause_costs])
    if profile.split_sentences:
        return np.asarray(np.where(sentence_ends > 0, NEVER, costs))
    return np.asarray(costs + NEW_SENTENCE * sentence_ends)


def _lines(text: _Text, first: int, last: int, profile: Profile) -> tuple[Line, ...]:
    """The lines of a cue: as few as possible, then the cheapest."""
    turn = next((i for i in range(first + 1, last + 1) if text.is_turn[i]), None)
    if turn is not None:
        parts = ((first, turn - 1), (turn, last))
        return tuple(Line(tuple(text.words[a : b + 1]), turn_mark=True) for a, b in parts)
    for count in range(1, profile.max_lines + 1):
        if found := _best_lines(text, first, last, count, profile.max_line_chars):
            return tuple(Line(tuple(text.words[a : b + 1])) for a, b in found[1])
    raise AssertionError("a cue was chosen that does not fit")


def _best_lines(
    text: _Text, first: int, last: int, count: int, limit: float
) -> tuple[float, list[tuple[int, int]]] | None:
    """The cost, and first and last word, of `count` lines; None if the words do not fit."""
    if count == 1:
        width = text.width(first, last)
        if width > limit + ROUNDING:
            return (VIOLATION / RAGGED, [(first, last)]) if first == last else None
        return ((limit - width) / limit) ** 2, [(first, last)]
    best: tuple[float, list[tuple[int, int]]] | None = None
    for end in range(first, last):
        line = _best_lines(text, first, end, 1, limit)
        rest = _best_lines(text, end + 1, last, count - 1, limit) if line else None
        if line and rest:
            cost = line[0] + text.breaks[end] * (LINE_BREAK / RAGGED) + rest[0]
            if best is None or cost < best[0]:
                best = cost, [*line[1], *rest[1]]
    return best
