"""Load a transcript from the database for export."""

from __future__ import annotations

from typing import Any

from transcriptions.exports.transcript import Transcript
from transcriptions.models import Transcription

SEGMENT_FIELDS, WORD_FIELDS = ("start", "end", "text"), ("start", "end", "text")


def transcript_of(row: Transcription, *, words: bool) -> Transcript:
    """The transcript of a transcription row. Query its segments, with their words only if `words`:
    they are most of the data."""
    columns = ("number", *SEGMENT_FIELDS, *(("words",) if words else ()))
    segments = [_segment(stored) for stored in row.segments.values(*columns)]
    return Transcript(row.title, row.language, row.duration or 0.0, segments)


def _segment(stored: dict[str, Any]) -> dict[str, Any]:
    """As the API returns it."""
    words = [{name: word[name] for name in WORD_FIELDS} for word in stored.get("words", ())]
    return {"id": stored["number"], **{n: stored[n] for n in SEGMENT_FIELDS}, "words": words}
