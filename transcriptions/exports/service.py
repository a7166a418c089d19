"""Load a transcript from the database for export."""

from __future__ import annotations

from typing import Any

from transcriptions.exports.transcript import Transcript
from transcriptions.models import Transcription
from transcriptions.models.segment import mean_probability

SEGMENT_FIELDS = ("start", "end", "text", "language", "channel")
WORD_FIELDS = ("start", "end", "text", "probability", "channel")


def transcript_of(row: Transcription, *, words: bool) -> Transcript:
    """The transcript of a transcription row. Query its segments, with their words only if `words`:
    they are most of the data."""
    columns = ("number", *SEGMENT_FIELDS, *(("words",) if words else ()))
    segments = [_segment(stored) for stored in row.segments.values(*columns)]
    return Transcript(row.title, row.language, row.duration or 0.0, segments)


def _segment(stored: dict[str, Any]) -> dict[str, Any]:
    """As the API returns it."""
    words = [_word(word) for word in stored.get("words", ())]
    return {
        "id": stored["number"],
        **{name: stored[name] for name in SEGMENT_FIELDS},
        "language": stored["language"] or None,
        "probability": mean_probability(words),
        "words": words,
    }


def _word(stored: dict[str, Any]) -> dict[str, Any]:
    return {name: stored[name] for name in WORD_FIELDS if name in stored}
