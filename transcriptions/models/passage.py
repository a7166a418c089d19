"""A place in a transcript that a search has found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Passage:
    """A segment with words of a search."""

    segment: int  # its number
    start: float  # seconds
    text: str
    speaker: str | None  # the label of who says it; None without speakers
