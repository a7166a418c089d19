"""Events of a recording: the same over SSE and the WebSocket.

`id` counts without gaps: 0 is metadata, n is the n-th segment, and the one after the last segment
is complete or error. A client that knows one id knows everything before it.
"""

from __future__ import annotations

import uuid
from typing import Annotated, Literal

from ninja import Schema
from pydantic import Field

from transcriptions.models import Segment, Transcription
from transcriptions.schemas.transcripts import SegmentOut


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
