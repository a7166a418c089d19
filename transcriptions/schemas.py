"""The shapes that the API speaks: what goes over REST, SSE and the WebSocket alike."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Any, Literal

from ninja import Schema
from pydantic import Field

from accounts.schemas import ErrorOut
from transcriptions.models import Segment, Transcription


class WordOut(Schema):
    """A word with its times in seconds."""

    start: float
    end: float
    text: str


class SegmentOut(Schema):
    """A sentence or so. `id` counts from 1 within its transcription."""

    id: int
    start: float
    end: float
    text: str
    words: list[WordOut]

    @classmethod
    def of(cls, row: Segment) -> SegmentOut:
        """From a row."""
        words = [WordOut(**{k: w[k] for k in ("start", "end", "text")}) for w in row.words]
        return cls(id=row.number, start=row.start, end=row.end, text=row.text, words=words)


class TranscriptionOut(Schema):
    """A recording in the library."""

    id: uuid.UUID
    title: str
    state: str
    language: str | None
    duration: float | None
    created_at: datetime
    completed_at: datetime | None
    engine: str | None
    model: str | None
    note: str | None
    error: ErrorOut | None

    @classmethod
    def of(cls, row: Transcription) -> TranscriptionOut:
        """From a row."""
        return cls(**_fields(row))


class TranscriptOut(TranscriptionOut):
    """A recording with its words."""

    text: str
    segments: list[SegmentOut]

    @classmethod
    def of(cls, row: Transcription) -> TranscriptOut:
        """From a row; reads its segments."""
        segments = [SegmentOut.of(segment) for segment in row.segments.all()]
        return cls(**_fields(row), text=" ".join(s.text for s in segments), segments=segments)


class TranscriptionList(Schema):
    """One page of the library, newest first."""

    count: int
    items: list[TranscriptionOut]


class HealthOut(Schema):
    status: Literal["healthy", "unhealthy"]
    version: str


def _fields(row: Transcription) -> dict[str, Any]:
    error = ErrorOut(detail=row.error_message, code=row.error_code) if row.error_code else None
    return {
        "id": row.id,
        "title": row.title,
        "state": row.state,
        "language": row.language or row.requested_language or None,
        "duration": row.duration,
        "created_at": row.created_at,
        "completed_at": row.completed_at,
        "engine": row.engine or None,
        "model": row.model or None,
        "note": row.note or None,
        "error": error,
    }


# --- Events -----------------------------------------------------------------------------------
# `id` counts without gaps: 0 is metadata, n is the n-th segment, and the one after the last
# segment is complete or error. So a reader that knows one id knows everything before it.


class MetadataEvent(Schema):
    """What is known before the first word."""

    type: Literal["metadata"] = "metadata"
    id: int = 0
    transcription: uuid.UUID
    title: str
    duration: float
    language: str
    engine: str
    model: str

    @classmethod
    def of(cls, row: Transcription) -> MetadataEvent:
        """From a row whose engine has started."""
        return cls(
            transcription=row.id,
            title=row.title,
            duration=row.duration or 0.0,
            language=row.language,
            engine=row.engine,
            model=row.model,
        )


class ProgressEvent(Schema):
    """One more segment."""

    type: Literal["progress"] = "progress"
    id: int
    segment: SegmentOut

    @classmethod
    def of(cls, row: Segment) -> ProgressEvent:
        """From a row."""
        return cls(id=row.number, segment=SegmentOut.of(row))


class PartialEvent(Schema):
    """Early words of the segment after event `id`; what comes next replaces them. Never stored."""

    type: Literal["partial"] = "partial"
    id: int
    text: str


class CompleteEvent(Schema):
    """All words are there."""

    type: Literal["complete"] = "complete"
    id: int
    transcription: uuid.UUID
    segments: int
    duration: float
    language: str
    decode_seconds: float
    real_time_factor: float = Field(description="Processing time / audio time: lower is better.")
    note: str


class ErrorEvent(Schema):
    """It ended without a transcript."""

    type: Literal["error"] = "error"
    id: int
    transcription: uuid.UUID
    code: str
    detail: str


Event = Annotated[
    MetadataEvent | ProgressEvent | PartialEvent | CompleteEvent | ErrorEvent,
    Field(discriminator="type"),
]


def ending(row: Transcription, segments: int) -> CompleteEvent | ErrorEvent:
    """The last event of a finished recording that has `segments` segments."""
    if row.error_code:
        return ErrorEvent(
            id=segments + 1, transcription=row.id, code=row.error_code, detail=row.error_message
        )
    duration = row.duration or 0.0
    return CompleteEvent(
        id=segments + 1,
        transcription=row.id,
        segments=segments,
        duration=duration,
        language=row.language,
        decode_seconds=round(row.decode_seconds, 3),
        real_time_factor=round(row.decode_seconds / duration, 4) if duration else 0.0,
        note=row.note,
    )
