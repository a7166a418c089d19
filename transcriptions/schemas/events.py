"""Events of a transcription, the same over SSE and the WebSocket.

`id` has no gaps: 0 is metadata, n is the n-th segment, and complete or error follows the last
segment. A client that has received one id has received every event before it.
"""

from __future__ import annotations

import uuid
from functools import cached_property
from typing import Annotated, Literal

from ninja import Schema
from pydantic import Field

from transcriptions.models import Segment, Transcription
from transcriptions.schemas.transcripts import SegmentOut


class EventSchema(Schema):
    """Base of all events."""

    @cached_property
    def as_json(self) -> str:
        """The event as all clients get it. Computed once, for however many watchers."""
        return self.model_dump_json()


class MetadataEvent(EventSchema):
    """Facts about the recording, sent before the first segment."""

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


class ProgressEvent(EventSchema):
    """A new segment."""

    type: Literal["progress"] = "progress"
    id: int
    segment: SegmentOut

    @classmethod
    def of(cls, row: Segment) -> ProgressEvent:
        """From a row."""
        return cls(id=row.number, segment=SegmentOut.of(row))


class PartialEvent(EventSchema):
    """Partial text of the segment after event `id`. The next event replaces it. Never stored."""

    type: Literal["partial"] = "partial"
    id: int
    text: str


class CompleteEvent(EventSchema):
    """The transcript is complete."""

    type: Literal["complete"] = "complete"
    id: int
    transcription: uuid.UUID
    segments: int
    duration: float
    language: str
    decode_seconds: float
    real_time_factor: float = Field(description="Processing time / audio time: lower is better.")
    note: str


class ErrorEvent(EventSchema):
    """The transcription failed, or was cancelled or deleted."""

    type: Literal["error"] = "error"
    id: int
    transcription: uuid.UUID
    code: str
    detail: str


Event = Annotated[
    MetadataEvent | ProgressEvent | PartialEvent | CompleteEvent | ErrorEvent,
    Field(discriminator="type"),
]


def final_event(row: Transcription, segment_count: int) -> CompleteEvent | ErrorEvent:
    """The last event of a finished transcription."""
    if row.error_code:
        return ErrorEvent(
            id=segment_count + 1,
            transcription=row.id,
            code=row.error_code,
            detail=row.error_message,
        )
    duration = row.duration or 0.0
    return CompleteEvent(
        id=segment_count + 1,
        transcription=row.id,
        segments=segment_count,
        duration=duration,
        language=row.language,
        decode_seconds=round(row.decode_seconds, 3),
        real_time_factor=round(row.decode_seconds / duration, 4) if duration else 0.0,
        note=row.note,
    )
