"""Groups words into segments: decides where one sentence ends and the next begins.

Pure functions without any dependency.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain

from gpu.types import Partial, Segment, Word

# Of Latin, Chinese, Japanese, Arabic, Urdu, Indic, Armenian, Ethiopic, Burmese and Khmer scripts.
SENTENCE_END = tuple(".?!…。？！｡؟۔।॥։።။។")  # noqa: RUF001
CLAUSE_END = tuple(",;:，、；：،؛၊")  # noqa: RUF001
CLOSING_MARKS = "\"'”’»)]」』"  # noqa: RUF001 - quotes and brackets that may follow a full stop
SEGMENT_PAUSE_S = 1.2  # silence that ends a segment whatever the punctuation
LONG_SEGMENT_S = 12.0  # length after which a clause end or a short pause ends a segment
SHORT_PAUSE_S = 0.35
# Lengths after which a segment ends even in the middle of a sentence. Characters count with spaces.
MAX_SEGMENT_S, MAX_SEGMENT_CHARACTERS = 20.0, 200
LONG_SEGMENT_CHARACTERS = 140  # the same as LONG_SEGMENT_S
ABBREVIATIONS = {"mr", "mrs", "ms", "dr", "prof", "st", "vs", "e.g", "i.e", "jr", "sr"}


def segments_of(words: Iterable[Word]) -> Iterator[Segment]:
    """Groups words into segments, lazily: each one is yielded when the word after it is known.

    Every word is in exactly one segment, and the order is kept. Only a word that exceeds the
    maximum length of a segment is divided.
    """
    return (event for event in segments_and_partials(words) if isinstance(event, Segment))


def segments_and_partials(words: Iterable[Word]) -> Iterator[Partial | Segment]:
    """The same segments; before each one, a Partial for every word that is added to it."""
    builder = SegmentBuilder()
    for word in chain.from_iterable(map(_parts, words)):
        yield from builder.push(word)
        yield Partial(tuple(builder.words))
    yield from builder.finish()


class SegmentBuilder:
    """The same for words that arrive one by one."""

    def __init__(self) -> None:
        self.words: list[Word] = []  # of the segment that is not complete

    def push(self, word: Word) -> Iterator[Segment]:
        """Adds the next word; yields the segments that end before or within it."""
        for part in _parts(word):
            if self.words and _ends_before(part, self.words):
                yield from self.finish()
            self.words.append(part)

    def finish(self) -> Iterator[Segment]:
        """Ends the segment after the last word."""
        if self.words:
            yield Segment(tuple(self.words))
            self.words = []


def _parts(word: Word) -> Iterator[Word]:
    """The word itself, or its parts if it is too long for a segment: where a script has no spaces,
    some models return a whole sentence as one word. The time of each part is limited too."""
    count = math.ceil(len(word.text) / MAX_SEGMENT_CHARACTERS)
    share = (word.end - word.start) / max(count, 1)
    for number in range(count):
        start = word.start + number * share
        first = number * MAX_SEGMENT_CHARACTERS
        yield replace(
            word,
            start=start,
            end=min(word.end if number == count - 1 else start + share, start + MAX_SEGMENT_S),
            text=word.text[first : first + MAX_SEGMENT_CHARACTERS],
            no_space_before=word.no_space_before or number > 0,
        )


def _ends_before(word: Word, current: list[Word]) -> bool:
    """Whether `word` begins a new segment."""
    last = current[-1]
    pause, length = word.start - last.end, last.end - current[0].start
    characters = len(Segment((*current, word)).text)
    text = last.text
    if pause >= SEGMENT_PAUSE_S or word.end - current[0].start > MAX_SEGMENT_S:
        return True
    if characters > MAX_SEGMENT_CHARACTERS:
        return True
    if text.rstrip(CLOSING_MARKS).endswith(SENTENCE_END):
        return ends_sentence(text, word.text)
    is_long = length >= LONG_SEGMENT_S or characters > LONG_SEGMENT_CHARACTERS
    return is_long and (ends_clause(text) or pause >= SHORT_PAUSE_S)


def ends_sentence(text: str, following: str) -> bool:
    """Whether a word is the last of its sentence, judged by the word that follows."""
    text = text.rstrip(CLOSING_MARKS)
    if not text.endswith(SENTENCE_END):
        return False
    return not (_is_abbreviation(text) or following[:1].islower())


def ends_clause(text: str) -> bool:
    """Whether a word ends with a comma, a semicolon or a colon."""
    return text.rstrip(CLOSING_MARKS).endswith(CLAUSE_END)


def _is_abbreviation(text: str) -> bool:
    """`Dr.`, `e.g.` or an initial: a period that does not end a sentence."""
    bare = text.rstrip(".").lower()
    return text.endswith(".") and (
        bare in ABBREVIATIONS or (len(bare) == 1 and bare.isalpha() and bare != "i")
    )
