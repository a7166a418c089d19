"""What the decoder returns for a window. Times are in seconds from the start of the window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpu.types import Decoding, Word

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
        """The time that belongs to the word even if its edges are not exact."""
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
