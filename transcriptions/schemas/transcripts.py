"""Transcripts as JSON: the same over REST, SSE and the WebSocket."""

from __future__ import annotations

import uuid
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal

from ninja import Schema
from pydantic import AfterValidator, BaseModel, Field, StrictInt, model_validator

from accounts.schemas import Body, ErrorOut
from accounts.text import NOT_BLANK, validate_display_name
from gpu.joining import join
from transcriptions.models import Priority, Segment, Transcription
from transcriptions.models.diarization_job import detection_of
from transcriptions.models.segment import mean_probability
from transcriptions.schemas.speakers import (
    MAX_NUMBER,
    SpeakerDetectionOut,
    SpeakerOut,
    speakers_of,
)

WORD_FIELDS = ("start", "end", "text", "probability", "channel", "speaker", "overlap")
# No control characters other than white space, and at least one character that is not space.
TEXT_PATTERN = r"^[^\x00-\x08\x0e-\x1f]*[^\s\x00-\x1f][^\x00-\x08\x0e-\x1f]*$"


def is_none(value: Any) -> bool:
    """Excludes fields that have no value."""
    return value is None


def is_false(value: Any) -> bool:
    """Excludes fields that are false."""
    return not value


class WordOut(BaseModel):
    """A word with its start and end in seconds."""

    start: float
    end: float
    text: str
    probability: float | None = Field(
        default=None,
        exclude_if=is_none,
        description="0 to 1; absent if the engine reports none, and for edited words",
    )
    channel: int | None = Field(
        default=None,
        exclude_if=is_none,
        description="Channel, from 0; absent unless channels were transcribed separately",
    )
    speaker: int | None = Field(
        default=None,
        exclude_if=is_none,
        description="Number of the speaker, from 1; absent unless speakers were detected",
    )
    overlap: bool = Field(
        default=False,
        exclude_if=is_false,
        description="Someone else speaks at the same time; absent if not",
    )


class SegmentOut(BaseModel):
    """A sentence or part of a sentence, with its start and end in seconds. `id` counts from 1
    within the transcription."""

    id: int
    start: float
    end: float
    text: str
    language: str | None = None
    channel: int | None = None
    speaker: int | None = Field(default=None, description="The speaker of most of its words")
    paragraph: bool | None = Field(
        default=None,
        exclude_if=is_none,
        description="True if a user has begun a paragraph with it, false if joined to the one "
        "before",
    )
    probability: float | None = Field(default=None, description="Mean probability of its words")
    conflict: str | None = Field(
        default=None,
        description="The text recognized later, if your edit was kept. Correct the segment to "
        "either text to resolve the conflict",
    )
    words: list[WordOut]

    @classmethod
    def of(cls, row: Segment) -> SegmentOut:
        """Create from a row."""
        words = [WordOut(**{k: w[k] for k in WORD_FIELDS if k in w}) for w in row.words]
        return cls(
            id=row.number,
            start=row.start,
            end=row.end,
            text=row.text,
            language=row.language or None,
            channel=row.channel,
            speaker=row.speaker,
            paragraph=row.paragraph,
            probability=mean_probability(row.words),
            conflict=row.conflict or None,
            words=words,
        )


class TrackOut(Schema):
    """An audio track of a file, counted from 0."""

    index: int
    language: str | None = Field(description="ISO 639-2 code of the file, such as `eng`")
    title: str | None
    codec: str
    channels: int | None
    default: bool = Field(description="Whether players choose this track by default")
    chosen: bool = Field(description="Whether this track was transcribed")


class TranscriptionOut(Schema):
    """A transcription without its text. `duration` is in seconds."""

    id: uuid.UUID
    title: str
    state: str
    priority: Literal["live", "interactive", "batch"]
    queue_position: int | None = Field(
        description="Its place among all waiting recordings, at most; 1 is next. Null unless its "
        "state is `queued` or `prepared`"
    )
    language: str | None = Field(description="The first language that was spoken")
    languages: list[str] = Field(
        description="All languages that were spoken, after processing has finished"
    )
    duration: float | None
    tracks: list[TrackOut] = Field(description="Empty until the audio is prepared")
    created_at: datetime
    completed_at: datetime | None
    engine: str | None
    model: str | None
    note: str | None
    error: ErrorOut | None

    @classmethod
    def of(cls, row: Transcription) -> TranscriptionOut:
        """Create from a row."""
        return cls(**_fields(row))


class TranscriptOut(TranscriptionOut):
    """A transcription with its text and segments."""

    text: str
    speakers: list[SpeakerOut] = Field(description="Empty unless speakers were detected")
    speaker_detection: SpeakerDetectionOut | None = Field(
        description="Present while speakers are being detected later, and if that failed"
    )
    segments: list[SegmentOut]

    @classmethod
    def of(cls, row: Transcription) -> TranscriptOut:
        """Create from a row; reads its segments and speakers."""
        job = detection_of(row) if row.is_finished else None
        rows = list(row.segments.defer(*Segment.INTERNAL))
        return cls(
            **_fields(row),
            text=join(segment.text for segment in rows),
            speakers=speakers_of(row.speakers.all(), (word for s in rows for word in s.words)),
            speaker_detection=SpeakerDetectionOut.of(job) if job else None,
            segments=[SegmentOut.of(segment) for segment in rows],
        )


class ImportedOut(Schema):
    """How many words of the imported text matched recognized ones, replaced others or were added,
    and how many recognized words were removed."""

    matched: int
    replaced: int
    added: int
    removed: int


class ImportOut(TranscriptOut):
    """A transcription with its new text and segments."""

    imported: ImportedOut

    @classmethod
    def after(cls, row: Transcription, imported: ImportedOut) -> ImportOut:
        """Create from a row whose text was replaced."""
        return cls(**TranscriptOut.of(row).model_dump(), imported=imported)


class FoundPassageOut(Schema):
    """A segment with words of a search."""

    segment: int
    start: float
    text: str
    speaker: str | None = Field(description="Label of the speaker; null without speakers")


class FoundTranscriptionOut(TranscriptionOut):
    """A transcription in a list."""

    passage: FoundPassageOut | None = Field(
        description="The first segment with most of the words of `q`; null without `q`, or if only "
        "the title has them"
    )

    @classmethod
    def of(cls, row: Transcription) -> FoundTranscriptionOut:
        """From a row."""
        passage = FoundPassageOut(**asdict(row.passage)) if row.passage else None
        return cls(**_fields(row), passage=passage)


class TranscriptionPage(Schema):
    """A page of transcriptions, newest first."""

    items: list[FoundTranscriptionOut]
    next_cursor: str | None = Field(
        description="Pass it as `cursor` to get the next page; null on the last page"
    )


class ReadTokenOut(Schema):
    """A token that reads one recording, for URLs."""

    token: str = Field(description="The parameter `token` of the URLs")
    expires_at: datetime


class RenameIn(Body):
    """The new title of a transcription. With `expected_title`, the title that you expect to
    replace, the request fails with 409 if someone else has changed it."""

    model_config = Body.example(title="Team meeting")

    title: Annotated[
        str,
        Field(min_length=1, max_length=255, json_schema_extra=NOT_BLANK),
        AfterValidator(validate_display_name),
    ]
    expected_title: Annotated[str, Field(max_length=255)] | None = None


class CorrectionIn(Body):
    """The corrected text of a segment, or its speaker, or both. With `expected_text`, the text that
    you expect to replace, the request fails with 409 if someone else has edited the segment."""

    model_config = Body.example(text="Good morning, everybody.", expected_text="Good morning.")

    text: Annotated[str, Field(min_length=1, max_length=5000, pattern=TEXT_PATTERN)] | None = None
    expected_text: Annotated[str, Field(max_length=5000)] | None = None
    speaker: Annotated[
        StrictInt | None,
        Field(
            ge=1,
            le=MAX_NUMBER,
            description="Speaker of all its words. The next unused number creates a new speaker",
        ),
    ] = None

    @model_validator(mode="after")
    def _has_a_change(self) -> CorrectionIn:
        if self.text is None and self.speaker is None:
            raise ValueError("text or speaker is required")
        return self


def _fields(row: Transcription) -> dict[str, Any]:
    error = ErrorOut(detail=row.error_message, code=row.error_code) if row.error_code else None
    return {
        "id": row.id,
        "title": row.title,
        "state": row.state,
        "priority": Priority(row.priority).name.lower(),
        "queue_position": row.queue_position,
        "language": row.language or row.requested_language or None,
        "languages": row.languages,
        "duration": row.duration,
        "tracks": row.tracks,
        "created_at": row.created_at,
        "completed_at": row.completed_at,
        "engine": row.engine or None,
        "model": row.model or None,
        "note": row.note or None,
        "error": error,
    }
