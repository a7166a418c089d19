"""Builds segments from placed words. Imports no Django."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice

from gpu.joining import separator
from gpu.segments import segments_of
from gpu.types import Segment, Word
from transcriptions.editing.alignment import StoredWord
from transcriptions.editing.placing import Placed


@dataclass(frozen=True, slots=True)
class Draft:
    """A segment to be stored: see `transcriptions.models.Segment` for its fields."""

    text: str
    words: list[StoredWord]
    language: str
    recognized: list[StoredWord] | None
    conflict: str = ""

    @property
    def start(self) -> float:
        """Seconds."""
        return float(self.words[0]["start"])

    @property
    def end(self) -> float:
        """Seconds."""
        return float(self.words[-1]["end"])

    @property
    def channel(self) -> int | None:
        """The channel, as in `gpu.types.Segment`."""
        return self.words[0].get("channel")


def sentences(placed: Iterable[Placed]) -> Iterator[Draft]:
    """Segments of about one sentence, each in one language and with one channel and one speaker."""
    for _, group in groupby(placed, _source):
        yield from _sentences_of(list(group))


def _source(placed: Placed) -> tuple[str, int | None, int | None]:
    return placed.language, placed.word.get("channel"), placed.word.get("speaker")


def _sentences_of(placed: list[Placed]) -> Iterator[Draft]:
    rest, current = iter(placed), list[Placed]()
    for segment in segments_of(Word(**each.word) for each in placed):
        words = list(islice(rest, len(segment.words)))
        # An alternative applies to all words that it could replace: they stay together.
        if current and words[0].alternative != "":
            yield draft_of(current)
            current = []
        current += words
    if current:
        yield draft_of(current)


def draft_of(placed: list[Placed]) -> Draft:
    """A segment of these words."""
    words = [each.word for each in placed]
    is_edited = any(each.is_edited for each in placed)
    return Draft(
        text=text_of(words),
        words=words,
        language=placed[0].language,
        recognized=[word for each in placed for word in each.heard] if is_edited else None,
        conflict=_alternative(placed),
    )


def text_of(words: Iterable[StoredWord]) -> str:
    """The words as text."""
    return Segment(tuple(Word(**word) for word in words)).text


def _alternative(placed: list[Placed]) -> str:
    """The text with all alternatives; empty if there are none."""
    if all(each.alternative is None for each in placed):
        return ""
    text = ""
    for each in placed:
        part = each.word["text"] if each.alternative is None else each.alternative
        is_joined = each.word.get("no_space_before", False)
        text += ("" if is_joined or not part else separator(text, part)) + part
    return text
