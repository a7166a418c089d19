"""Events of a transcription, the same over SSE and the WebSocket.

`id` has no gaps: 0 is metadata, n is the n-th segment, and complete or error follows the last
segment. A client that has received one id has received every event before it.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Annotated, Literal

from ninja import Schema
from pydantic import Field

from transcriptions.models import Segment, Transcription
from transcriptions.schemas.speakers import SegmentSpeakers, SpeakerOut, speakers_of
from transcriptions.schemas.transcripts import SegmentOut

# After a retry, the next segment has the id that the error had. To tell them apart, the SSE id of
# an error is the id of the event before it with this suffix.
ERROR_SUFFIX = "-error"


class EventSchema(Schema):
    """Base of all events. Both forms are computed only once, for any number of watchers."""

    type: str
    id: int

    @cached_property
    def as_json(self) -> str:
        """The event as JSON."""
        return self.model_dump_json()

    @cached_property
    def as_sse(self) -> bytes:
        """The event as a Server-Sent Event, with the blank line that ends it."""
        id_line = f"id: {self.sse_id}\n" if self.sse_id else ""
        return f"{id_line}event: {self.type}\ndata: {self.as_json}\n\n".encode()

    @property
    def sse_id(self) -> str:
        """The `Last-Event-ID` with which a client resumes after this event; empty: none."""
        return str(self.id)


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
        """Create from a row whose engine has started."""
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
        """Create from a row."""
        return cls(id=row.number, segment=SegmentOut.of(row))


class PartialEvent(EventSchema):
    """Partial text of the segment after event `id`. The next event replaces it. Never stored.

    It ends with `tentative`, which may still change: the text before that is final.
    """

    type: Literal["partial"] = "partial"
    id: int
    text: str
    tentative: str = ""

    @property
    def sse_id(self) -> str:
        """Empty: it is not stored, and clients resume after the last stored event."""
        return ""


class TurnEvent(EventSchema):
    """In a live session, someone has begun to speak or has stopped, at `time` (seconds). Never
    stored. When a turn ends, the segments up to event `id` have all its words. `commit` is the
    number of the commit that ended it; null: it ended by silence."""

    type: Literal["turn"] = "turn"
    id: int
    state: Literal["started", "ended"]
    time: float
    commit: int | None = None

    @property
    def sse_id(self) -> str:
        """Empty: it is not stored, and clients resume after the last stored event."""
        return ""


class SpeakersEvent(EventSchema):
    """The speakers of stored segments up to event `id` have changed; their numbers may have
    changed, too. `change` counts these events. A client that resumes after a segment gets one event
    for all earlier segments, with the changes that it missed."""

    type: Literal["speakers"] = "speakers"
    id: int
    change: int
    speakers: list[SpeakerOut]
    segments: list[SegmentSpeakers]

    @classmethod
    def of(
        cls, row: Transcription, change: int, stored: Sequence[Segment], changed: Iterable[Segment]
    ) -> SpeakersEvent:
        """Create from all stored segments, and those of them that have changed."""
        words = (word for segment in stored for word in segment.words)
        return cls(
            id=stored[-1].number if stored else 0,
            change=change,
            speakers=speakers_of(row.speakers.all(), words),
            segments=[SegmentSpeakers.of(segment) for segment in changed],
        )

    @property
    def sse_id(self) -> str:
        """Empty: clients resume after the last segment."""
        return ""


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

    @property
    def sse_id(self) -> str:
        """See ERROR_SUFFIX."""
        return f"{self.id - 1}{ERROR_SUFFIX}"


Event = Annotated[
    MetadataEvent
    | ProgressEvent
    | PartialEvent
    | TurnEvent
    | SpeakersEvent
    | CompleteEvent
    | ErrorEvent,
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
