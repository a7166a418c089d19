"""Highlights, comments and bookmarks in documents for reading. Imports no Django."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from transcriptions.exports.reading import clean, timestamp
from transcriptions.exports.transcript import Transcript

HEADING = "Notes"


@dataclass(frozen=True, slots=True)
class Note:
    """An annotation as it is printed."""

    time: str  # `00:01:05`
    kind: str  # `Comment`
    text: str  # on one line: the passage in quotation marks, and the user's text


def notes(transcript: Transcript) -> Iterator[Note]:
    """The annotations of a transcript, in order of time."""
    for annotation in transcript.annotations:
        quote, body = clean(annotation["quote"]), clean(annotation["body"])
        parts = (f"“{quote}”" if quote else "", body)
        kind = annotation["kind"].capitalize()
        yield Note(timestamp(annotation["start"]), kind, " — ".join(filter(None, parts)))
