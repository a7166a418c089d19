"""Publishes the words of a live session: as partials while they may change, then as segments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gpu.segments import SegmentBuilder
from gpu.types import Metadata, Partial, Segment, Word
from gpu.whisper.decoded import DecodedWord, completed
from gpu.words import in_order


class LiveWords:
    """Segments, each in one language."""

    def __init__(self, model_name: str) -> None:
        self._model_name = model_name
        self._segments = SegmentBuilder()
        self._language = ""
        self._end = 0.0  # of the last firm word, in seconds
        self._shown: tuple[Word, ...] = ()  # the last partial of the segment

    def begin(self, language: str) -> Iterator[Metadata]:
        """The metadata, once."""
        if not self._language:
            self._language = language
            yield Metadata(language, self._model_name)

    def add(
        self, firm: Sequence[DecodedWord], tentative: Sequence[DecodedWord], language: str
    ) -> Iterator[Metadata | Segment | Partial]:
        """Adds firm words; `tentative` ones replace all earlier tentative ones."""
        if not (firm or tentative or self._shown):
            return
        yield from self.begin(language)
        if firm and language != self._language:
            yield from self.finish()
            self._language = language
        for word in in_order(firm, self._end):
            self._end = word.end
            for segment in self._segments.push(word):
                yield self._completed(segment)
        yield from self._partial(in_order(tentative, self._end))

    def finish(self) -> Iterator[Segment]:
        """The segment that has begun, without tentative words."""
        for segment in self._segments.finish():
            yield self._completed(segment)

    def _completed(self, segment: Segment) -> Segment:
        self._shown = ()
        return completed(segment, self._language)

    def _partial(self, tentative: Iterator[Word]) -> Iterator[Partial]:
        firm = [_plain(word) for word in self._segments.words]
        words = (*firm, *map(_plain, tentative))
        if words != self._shown:
            self._shown = words
            yield Partial(words, len(words) - len(firm))


def _plain(word: Word) -> Word:
    return word.plain() if isinstance(word, DecodedWord) else word
