"""Load a transcript from the database for export."""

from __future__ import annotations

from transcriptions.exports.transcript import Transcript
from transcriptions.models import Transcription
from transcriptions.schemas.transcripts import SegmentOut


def transcript_of(row: Transcription) -> Transcript:
    """The transcript of a transcription row. Query its segments."""
    segments = [SegmentOut.of(segment).model_dump() for segment in row.segments.all()]
    return Transcript(row.title, row.language, row.duration or 0.0, segments)
