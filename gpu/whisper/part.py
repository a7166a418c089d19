"""Checks the text of one window, and decodes wrong or missing parts again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gpu.types import RecognitionOptions, Span
from gpu.whisper import checks, timing
from gpu.whisper.decoded import SAMPLE_RATE_HZ, Decoded, DecodedWord, Samples
from gpu.windows import pack

if TYPE_CHECKING:
    from gpu.whisper.model import Model

log = logging.getLogger(__name__)

PIECE_S = 10.0  # length of the pieces of a window whose text is wrong
# This much speech without words is at least one sentence. Words of similar sentences may have got
# its time, so the position of a gap does not show which sentence is missing.
MISSING_SENTENCE_S = 2.5
TEMPERATURES = (0.4, 0.8)  # for a decoder in a loop
GAP_MARGIN_S = 0.2  # decoded on both sides of speech without words


@dataclass(frozen=True, slots=True)
class Part:
    """A window of a recording, or the part of one that is in one language."""

    model: Model
    speech: Sequence[Span]  # of the recording, in order of time
    options: RecognitionOptions
    span: Span
    samples: Samples
    language: str

    def checked(self, decoded: Decoded) -> list[DecodedWord]:
        """The words, without hallucinated and repeated ones, and with those that the model had left
        out."""
        if checks.is_loop(decoded) or checks.has_doubtful_repetition(checks.spoken(decoded)):
            log.info("the text at %.1f s repeats itself, decoding it again", self.span.start)
            words = self._words_in_pieces(checks.is_invented)
        else:
            spoken = () if checks.is_invented(decoded) else checks.spoken(decoded)
            words = self._with_sentences(timing.refine(spoken, self.samples))
        for gap in self._gaps(words):
            log.info("no words at %.1f s, decoding it again", self.span.start + gap.start)
            words = checks.inserted(words, self._words_in(gap))
        return words

    def _with_sentences(self, words: list[DecodedWord]) -> list[DecodedWord]:
        """The words, or those of short pieces if sentences are missing and the pieces have more."""
        is_short = self.span.end - self.span.start <= PIECE_S
        if is_short or self._missing_s(words) <= MISSING_SENTENCE_S:
            return words
        log.info("sentences at %.1f s are missing, decoding them again", self.span.start)
        return min(words, self._words_in_pieces(checks.is_doubtful), key=self._missing_s)

    def _missing_s(self, words: Sequence[DecodedWord]) -> float:
        return sum(gap.end - gap.start for gap in self._gaps(words))

    def _gaps(self, words: Sequence[DecodedWord]) -> list[Span]:
        return list(checks.gaps(words, self._speech()))

    def _speech(self) -> list[Span]:
        """The speech in this part, in seconds from its start."""
        start, end = self.span.start, self.span.end
        return [
            Span(max(span.start, start) - start, min(span.end, end) - start)
            for span in self.speech
            if span.start < end and span.end > start
        ]

    def _words_in_pieces(self, is_wrong: Callable[[Decoded], bool]) -> list[DecodedWord]:
        """Decodes short pieces separately: then a phrase that was spoken twice is found twice."""
        words = list[DecodedWord]()
        for piece in pack(self._speech(), PIECE_S):
            decoded = self._decode(piece)
            for temperature in TEMPERATURES:
                if checks.is_loop(decoded):
                    decoded = self._decode(piece, temperature)
            if not is_wrong(decoded):
                words += checks.spoken(decoded)
        return timing.refine(words, self.samples)

    def _words_in(self, gap: Span) -> list[DecodedWord]:
        around = Span(max(0.0, gap.start - GAP_MARGIN_S), gap.end + GAP_MARGIN_S)
        decoded = self._decode(around)
        if checks.is_doubtful(decoded) or checks.is_loop(decoded):
            return []
        words = timing.refine(decoded.words, self.samples)
        return [word for word in words if gap.start <= word.middle <= gap.end]

    def _decode(self, piece: Span, temperature: float = 0.0) -> Decoded:
        first, last = (round(at * SAMPLE_RATE_HZ) for at in (piece.start, piece.end))
        encoded = self.model.encode([self.samples[first:last]])
        (decoded,) = self.model.decode(encoded, self.language, self.options, temperature)
        words = (
            replace(word, start=piece.start + word.start, end=piece.start + word.end)
            for word in decoded.words
        )
        return replace(decoded, words=tuple(words))
