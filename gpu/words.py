"""Turns the text tokens of Kyutai STT into words with times. Pure arithmetic, without tensors.

The model outputs its text with a delay. The token at position i has seen the frames up to i - 1. It
belongs to the audio at (i - 1) frames, minus the silence that was added before the recording, minus
the delay that the model was trained with. Token 0 ends the padding before a word: the word starts
one position later and ends at the next token 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from gpu.types import Span, Word

END_OF_PADDING = 0  # the token between the padding and a word
LAG_POSITIONS = 1  # by which the model's output lags behind its input frames
MAX_LAST_WORD_S = 1.0  # length of a last word without an end token


class Vocabulary(Protocol):
    """The part of a tokenizer that is needed here."""

    padding: int

    def starts_word(self, token: int) -> bool:
        """Whether the token begins a new word."""
        ...

    def text(self, tokens: list[int]) -> str:
        """The text of the tokens."""
        ...


@dataclass(frozen=True, slots=True)
class Timing:
    """The durations that belong to a checkpoint, in seconds."""

    frame: float
    prefix: float  # silence before the recording
    delay: float  # of the text after the audio

    def at(self, position: int) -> float:
        """The audio time of a model position, from the start of the window."""
        return max(0.0, (position - LAG_POSITIONS) * self.frame - self.prefix - self.delay)


class WordBuilder:
    """Takes the tokens of one window one by one and returns words as soon as they are complete."""

    def __init__(self, vocabulary: Vocabulary, timing: Timing, start: float) -> None:
        """`start` is where the window begins in the recording, in seconds."""
        self.vocabulary, self.timing, self.start = vocabulary, timing, start
        self._position = -1
        self._word_position: int | None = None  # of the END_OF_PADDING before the current words
        self._pieces: list[int] = []

    def push(self, token: int) -> Iterable[Word]:
        """Adds the next token; returns the words that it completes."""
        self._position += 1
        if token == END_OF_PADDING:
            words = list(self._complete(self.timing.at(self._position)))
            self._word_position = self._position
            return words
        if token != self.vocabulary.padding:
            if self._word_position is None:
                self._word_position = self._position - 1
            self._pieces.append(token)
        return ()

    def finish(self) -> Iterable[Word]:
        """Ends the window; returns the words that are still incomplete."""
        return list(self._complete(self.timing.at(self._position + 1), is_last=True))

    def pending(self) -> Iterable[Word]:
        """The words so far that no token has completed yet."""
        return list(self._words(self.timing.at(self._position + 1)))

    def _complete(self, end: float, is_last: bool = False) -> Iterator[Word]:
        yield from self._words(end, is_last)
        self._pieces = []

    def _words(self, end: float, is_last: bool = False) -> Iterator[Word]:
        if not self._pieces or self._word_position is None:
            return
        begin = self.timing.at(self._word_position + 1)
        if is_last:
            end = min(end, begin + MAX_LAST_WORD_S)
        # Words without an END_OF_PADDING between them share the time in proportion to their number
        # of pieces.
        share = (max(begin, end) - begin) / len(self._pieces)
        for first, pieces in self._split():
            text = self.vocabulary.text(pieces).strip()
            if text:
                a, b = begin + first * share, begin + (first + len(pieces)) * share
                yield Word(round(self.start + a, 3), round(self.start + b, 3), text)

    def _split(self) -> Iterator[tuple[int, list[int]]]:
        """The pieces of each word, with the index of the first one."""
        first = 0
        for index in range(1, len(self._pieces) + 1):
            is_end = index == len(self._pieces)
            if is_end or self.vocabulary.starts_word(self._pieces[index]):
                yield first, self._pieces[first:index]
                first = index


def clip_to_speech(words: Iterable[Word], spans: Iterable[Span]) -> Iterator[Word]:
    """Ends each word at the latest where the speech span in which it begins ends.

    The model ends a word only when the next one begins. Without this, a word would last through the
    pause after it, and no pause could be detected.
    """
    remaining = iter(spans)
    span = next(remaining, None)
    for word in words:
        while span and span.end <= word.start:
            span = next(remaining, None)
        end = min(word.end, span.end) if span and span.start <= word.end else word.end
        yield replace(word, end=max(word.start, end))


def in_order(words: Iterable[Word], not_before: float = 0.0) -> Iterator[Word]:
    """Moves words that begin before `not_before` (seconds) or before the end of the previous word.

    Models sometimes go back by a frame or two, mostly where one window follows another.
    """
    for word in words:
        start = max(not_before, word.start)
        not_before = max(start, word.end)
        yield replace(word, start=start, end=not_before)
