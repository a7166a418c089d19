"""The times of all words of a transcript for its page: compact, and without the text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ninja import Schema
from pydantic import Field

from accounts.schemas import example
from transcriptions.models import Transcription

LOW_PROBABILITY = 0.5  # of words that are marked as uncertain


EXAMPLE = example(
    200,
    {
        "segments": [
            {
                "id": 1,
                "at": [0, 5],
                "start": [400, 900],
                "length": [500, 1200],
                "low": [],
                "overlap": [],
            }
        ]
    },
)


class SegmentTimesOut(Schema):
    """The words of one segment."""

    id: int
    at: list[int] = Field(description="Where each word begins in the text, in UTF-16 units")
    start: list[int] = Field(description="When each word begins, in milliseconds")
    length: list[int] = Field(description="How long each word is, in milliseconds")
    low: list[int] = Field(
        description=f"Which words, from 0, have a probability below {LOW_PROBABILITY}"
    )
    overlap: list[int] = Field(description="During which words, from 0, several people speak")

    @classmethod
    def of(cls, number: int, text: str, words: Sequence[dict[str, Any]]) -> SegmentTimesOut:
        """Create from the columns of a row."""
        return cls(
            id=number,
            at=positions(text, (word["text"] for word in words)),
            start=[round(1000 * word["start"]) for word in words],
            length=[round(1000 * (word["end"] - word["start"])) for word in words],
            low=[index for index, word in enumerate(words) if _is_low(word)],
            overlap=[index for index, word in enumerate(words) if word.get("overlap")],
        )


class WordTimesOut(Schema):
    """The words of all segments."""

    segments: list[SegmentTimesOut]

    @classmethod
    def of(cls, row: Transcription) -> WordTimesOut:
        """Create from a row; reads its segments."""
        columns = row.segments.values_list("number", "text", "words")
        return cls(segments=[SegmentTimesOut.of(*segment) for segment in columns])


def positions(text: str, words: Iterable[str]) -> list[int]:
    """Where each word begins in the text, in UTF-16 units, as JavaScript counts."""
    found, position = list[int](), 0
    for word in words:
        start = text.find(word, position)
        if start >= 0:
            position = start
        found.append(position)
        position = min(position + len(word), len(text))
    if text.isascii() or max(text) <= "\uffff":
        return found
    return [len(text[:start].encode("utf-16-le")) // 2 for start in found]


def _is_low(word: dict[str, Any]) -> bool:
    probability = word.get("probability")
    return probability is not None and probability < LOW_PROBABILITY
