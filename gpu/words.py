"""Kyutai's tokens into words with times. Pure arithmetic; knows no tensor.

The text follows the sound: the token at model position i has heard the frames up to i - 1, so it
belongs to the sound at (i - 1) frames, less the silence that was put before the recording and less
the delay with which the model was trained to speak. Token 0 ends the padding before a word: the
word starts one position later and ends where the next 0 comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from gpu.types import Span, Word

WORD_FOLLOWS = 0  # the token between the padding and a word
LAG = 1  # positions by which the model trails the frames that it is fed
LONGEST_LAST = 1.0  # seconds of a last word that no token closes


class Vocabulary(Protocol):
    """What is needed of a tokenizer."""

    padding: int

    def starts_word(self, token: int) -> bool:
        """Whether a piece begins a new word."""
        ...

    def text(self, tokens: list[int]) -> str:
        """The pieces joined."""
        ...


@dataclass(frozen=True, slots=True)
class Timing:
    """What the checkpoint says about time, in seconds."""

    frame: float
    prefix: float
    delay: float

    def at(self, position: int) -> float:
        """When the sound of a model position was heard, from the start of the window."""
        return max(0.0, (position - LAG) * self.frame - self.prefix - self.delay)


class WordBuilder:
    """Takes the tokens of one window one by one and gives words as soon as they are closed."""

    def __init__(self, vocabulary: Vocabulary, timing: Timing, start: float) -> None:
        self.vocabulary, self.timing, self.start = vocabulary, timing, start
        self._position = -1
        self._opened: int | None = None  # where the 0 before the current words was
        self._pieces: list[int] = []

    def push(self, token: int) -> Iterable[Word]:
        """The next token; returns the words that it closes."""
        self._position += 1
        if token == WORD_FOLLOWS:
            closed = list(self._close(self.timing.at(self._position)))
            self._opened = self._position
            return closed
        if token != self.vocabulary.padding:
            if self._opened is None:
                self._opened = self._position - 1
            self._pieces.append(token)
        return ()

    def finish(self) -> Iterable[Word]:
        """The window is over; returns what is still open."""
        return list(self._close(self.timing.at(self._position + 1), last=True))

    def _close(self, end: float, last: bool = False) -> Iterator[Word]:
        if not self._pieces or self._opened is None:
            return
        begin = self.timing.at(self._opened + 1)
        if last:
            end = min(end, begin + LONGEST_LAST)
        # Words that share one opening share its time by their numbers of pieces.
        share = (max(begin, end) - begin) / len(self._pieces)
        for first, pieces in self._split():
            text = self.vocabulary.text(pieces).strip()
            if text:
                a, b = begin + first * share, begin + (first + len(pieces)) * share
                yield Word(round(self.start + a, 3), round(self.start + b, 3), text)
        self._pieces = []

    def _split(self) -> Iterator[tuple[int, list[int]]]:
        first = 0
        for index in range(1, len(self._pieces) + 1):
            done = index == len(self._pieces)
            if done or self.vocabulary.starts_word(self._pieces[index]):
                yield first, self._pieces[first:index]
                first = index


def within_speech(words: Iterable[Word], spans: Iterable[Span]) -> Iterator[Word]:
    """The same words, none of them longer than the stretch of speech in which it begins.

    The model closes a word only when the next one opens, so without this a word would last through
    the pause after it, and no pause could ever be seen.
    """
    ahead = iter(spans)
    span = next(ahead, None)
    for word in words:
        while span and span.end <= word.start:
            span = next(ahead, None)
        end = min(word.end, span.end) if span and span.start <= word.end else word.end
        yield Word(word.start, max(word.start, end), word.text, word.glued)


def in_order(words: Iterable[Word], now: float = 0.0) -> Iterator[Word]:
    """The same words, none of which begins before `now`, or before the one ahead of it has ended:
    models step back by a frame or two, above all where one window follows another."""
    for word in words:
        start = max(now, word.start)
        now = max(start, word.end)
        yield Word(start, now, word.text, word.glued)
