"""The shapes that the API speaks: what goes over REST, SSE and the WebSocket alike."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from django.db.models import Q, QuerySet
from ninja import Schema
from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field

from accounts.names import visible_name
from accounts.schemas import Body, ErrorOut
from transcriptions import search
from transcriptions.models import Segment, State, Transcription

PLAIN = r"^[^\x00-\x1f]*$"  # no control characters
LINES = r"^[^\x00-\x08\x0e-\x1f]*[^\s\x00-\x1f][^\x00-\x08\x0e-\x1f]*$"  # not only space


def _iso(value: object) -> object:
    """Pydantic takes bare numbers for seconds since 1970; nobody means that in an address."""
    if (isinstance(value, str) and not value[:4].isdigit()) or "-" not in str(value):
        raise ValueError("a moment such as 2026-05-04T09:30:00Z is wanted, or a date")
    return f"{value}T00:00:00Z" if re.fullmatch(r"\d{4}-\d\d-\d\d", str(value)) else value


def _in_utc(value: datetime) -> datetime:
    """PostgreSQL knows fewer offsets than Python."""
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("this moment is beyond all calendars") from None


Moment = Annotated[AwareDatetime, BeforeValidator(_iso), AfterValidator(_in_utc)]


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


class TranscriptionPage(Schema):
    """One page of the library, newest first."""

    items: list[TranscriptionOut]
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last one")


class LibraryFilter(Schema):
    """Which part of the library is wanted. All conditions hold together."""

    q: Annotated[str, Field(max_length=200, pattern=PLAIN)] = Field(
        default="",
        description='Words to be found in title or text, in any form: `"in quotes"` as they '
        "stand, `or` between two, `-` before what must not be there",
    )
    state: list[State] = Field(default=[], description="One state or several")
    language: str = Field(
        default="",
        pattern="^([A-Za-z]{2,3}(-[A-Za-z0-9-]{1,30})?)?$",
        description="Code such as `en`; of `en-US` the first part counts",
    )
    created_after: Moment | None = Field(default=None, description="From this moment on")
    created_before: Moment | None = Field(default=None, description="Before this moment")

    def among(self, rows: QuerySet[Transcription]) -> QuerySet[Transcription]:
        """Those of `rows` that are wanted."""
        if self.state:
            rows = rows.filter(state__in=self.state)
        if self.language:
            code = self.language.lower().partition("-")[0]
            rows = rows.filter(Q(language=code) | Q(language="", requested_language=code))
        if self.created_after:
            rows = rows.filter(created_at__gte=self.created_after)
        if self.created_before:
            rows = rows.filter(created_at__lt=self.created_before)
        return search.matching(rows, self.q) if self.q.strip() else rows


class AboutUpload(Schema):
    """What goes with a recording: fields of its form, or of the address before a raw body."""

    language: str = Field(default="", description="Code such as `en`; empty or `auto` to detect it")
    title: str = Field(
        default="", max_length=255, description="Else it is taken from the file's name"
    )

    def __or__(self, other: AboutUpload) -> AboutUpload:
        """Each field from whoever has it."""
        return AboutUpload(
            language=self.language or other.language, title=self.title or other.title
        )


class RenameIn(Body):
    """What can be changed of a recording."""

    model_config = Body.example(title="Team meeting")

    title: Annotated[str, Field(min_length=1, max_length=255), AfterValidator(visible_name)]


class CorrectionIn(Body):
    """The right text of a segment, and if you like what it `was` when you read it: if that has
    changed since, nothing is overwritten."""

    model_config = Body.example(text="Good morning, everybody.", was="Good morning.")

    text: Annotated[str, Field(min_length=1, max_length=5000, pattern=LINES)]
    was: Annotated[str, Field(max_length=5000)] | None = None


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
