"""Checks the text of one window, and decodes again what is wrong or missing."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gpu.types import RecognitionOptions, Span
from gpu.whisper import checks, timing
from gpu.whisper.decoded import SAMPLE_RATE_HZ, Decoded, DecodedWord, Samples
from gpu.windows import pack

if TYPE_CHECKING:
    from gpu.whisper.model import Model

log = logging.getLogger(__name__)

PIECE_S = 10.0  # length of the pieces of a window whose text repeats itself
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
        """The words, without hallucinated or repeated ones, and with those that were left out."""
        words = timing.refine(self._spoken(decoded), self.samples)
        for gap in list(checks.gaps(words, self._speech())):
            log.info("no words at %.1f s, decoding it again", self.span.start + gap.start)
            words = checks.inserted(words, self._words_in(gap))
        return words

    def _spoken(self, decoded: Decoded) -> tuple[DecodedWord, ...]:
        if checks.is_loop(decoded) or checks.has_doubtful_repetition(checks.spoken(decoded)):
            log.info("the text at %.1f s repeats itself, decoding it again", self.span.start)
            return tuple(self._words_in_pieces())
        return () if checks.is_invented(decoded) else checks.spoken(decoded)

    def _speech(self) -> list[Span]:
        """The speech in this part, in seconds from its start."""
        start, end = self.span.start, self.span.end
        return [
            Span(max(span.start, start) - start, min(span.end, end) - start)
            for span in self.speech
            if span.start < end and span.end > start
        ]

    def _words_in_pieces(self) -> Iterator[DecodedWord]:
        """Decodes short pieces apart: a phrase that was spoken twice is found twice again."""
        for piece in pack(self._speech(), PIECE_S):
            decoded = self._decode(piece)
            for temperature in TEMPERATURES:
                if checks.is_loop(decoded):
                    decoded = self._decode(piece, temperature)
            if not checks.is_invented(decoded):
                yield from checks.spoken(decoded)

    def _words_in(self, gap: Span) -> list[DecodedWord]:
        around = Span(max(0.0, gap.start - GAP_MARGIN_S), gap.end + GAP_MARGIN_S)
        decoded = self._decode(around)
        if checks.is_doubtful(decoded.decoding) or checks.is_loop(decoded):
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
