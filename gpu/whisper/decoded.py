"""What the decoder returns for a window. Times are in seconds from the start of the window."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from gpu.types import Decoding, Segment, Word

SAMPLE_RATE_HZ = 16_000  # of the model

Samples = np.ndarray[Any, np.dtype[np.float32]]


UNKNOWN = Decoding(0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class DecodedWord(Word):
    """A word with its tokens, and what the decoder knows about the text that it is part of."""

    tokens: tuple[int, ...] = ()
    decoding: Decoding = UNKNOWN

    @property
    def middle(self) -> float:
        """The middle of the word, which belongs to it even if its edges are not exact."""
        return (self.start + self.end) / 2

    def plain(self) -> Word:
        """The word alone."""
        fields = (self.start, self.end, self.text, self.no_space_before, self.probability)
        return Word(*fields, self.channel)


@dataclass(frozen=True, slots=True)
class Decoded:
    """The text of one window."""

    words: tuple[DecodedWord, ...]
    decoding: Decoding


def completed(segment: Segment, language: str) -> Segment:
    """Add the language and the statistics of the words."""
    words = [word for word in segment.words if isinstance(word, DecodedWord)]
    known = [word.decoding for word in words]
    decoding = Decoding(
        avg_logprob=fmean(one.avg_logprob for one in known),
        no_speech_prob=fmean(one.no_speech_prob for one in known),
        compression_ratio=max(one.compression_ratio for one in known),
        temperature=max(one.temperature for one in known),
        tokens=tuple(token for word in words for token in word.tokens),
    )
    return Segment(tuple(word.plain() for word in words), language, decoding)
