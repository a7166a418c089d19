"""Changes of a transcript as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from ninja import Schema
from pydantic import Field, StrictBool, StrictInt, model_validator

from accounts.schemas import Body
from transcriptions.models import EditKind
from transcriptions.schemas.speakers import MAX_NUMBER
from transcriptions.schemas.transcripts import TEXT_PATTERN, SegmentOut

MAX_CHANGES, MAX_SEGMENTS = 20_000, 100  # in one request; new segments in one change
MAX_REPLACED = 100_000  # segments by one change: more than there are in a day of speech
MAX_SEGMENT_NUMBER = 2_147_483_647

Text = Annotated[str, Field(min_length=1, max_length=5000, pattern=TEXT_PATTERN)]
SegmentNumber = Annotated[StrictInt, Field(ge=0, le=MAX_SEGMENT_NUMBER)]


class NewSegmentIn(Body):
    """A segment: its text and its speaker. Without a speaker, its words keep theirs."""

    text: Text
    speaker: Annotated[StrictInt, Field(ge=1, le=MAX_NUMBER)] | None = None
    paragraph: StrictBool | None = Field(
        default=None, description="Whether a paragraph begins with this segment; null: unchanged"
    )


class ReplacementIn(Body):
    """Segments that replace those with the numbers `from` to `to`, both included. An empty list
    deletes them. If `to` is one less than `from`, the segments are inserted before `from`."""

    first: Annotated[SegmentNumber, Field(alias="from", ge=1)]
    last: Annotated[SegmentNumber, Field(alias="to")]
    segments: Annotated[list[NewSegmentIn], Field(max_length=MAX_SEGMENTS)]
    expected_texts: Annotated[list[str], Field(max_length=MAX_REPLACED)] | None = Field(
        default=None,
        description="The texts that you expect to replace. If they differ, the response is 409",
    )

    @model_validator(mode="after")
    def _is_range(self) -> ReplacementIn:
        if not 0 <= self.last - self.first + 1 <= MAX_REPLACED:
            raise ValueError(f"`from` to `to` can be up to {MAX_REPLACED} segments")
        if self.last < self.first and not self.segments:
            raise ValueError("the change has no effect")
        return self


class EditsIn(Body):
    """Changes of a transcript, in order of their segments, which have their numbers before the
    request. Either all changes are made or none."""

    model_config = Body.example(
        changes=[
            {
                "from": 1,
                "to": 1,
                "expected_texts": ["Good morning. How are you?"],
                "segments": [{"text": "Good morning."}, {"text": "How are you?", "speaker": 2}],
            }
        ]
    )

    changes: Annotated[list[ReplacementIn], Field(min_length=1, max_length=MAX_CHANGES)]
    revision: Annotated[StrictInt, Field(ge=0)] | None = Field(
        default=None,
        description="The last revision that you know. If there is a later one, the response is 409",
    )

    @model_validator(mode="after")
    def _are_in_order(self) -> EditsIn:
        last = 0
        for change in self.changes:
            if change.first <= last:
                raise ValueError("the changes must be in order, and must not overlap")
            last = max(change.last, change.first - 1)
        return self


class ReplacedOut(Schema):
    """Segments that replace those with the numbers `from` to `to`. Those after them are
    renumbered."""

    first: int = Field(serialization_alias="from")
    last: int = Field(serialization_alias="to")
    segments: list[SegmentOut]


class EditsOut(Schema):
    """The changes. If `revision` is not one more than the last one you know, someone else has made
    changes, too."""

    revision: int = Field(description="How often the transcript was changed")
    changes: list[ReplacedOut]
    undo: bool = Field(description="Whether there is a change to undo")
    redo: bool = Field(description="Whether there is a change to redo")
    speakers: dict[int, str] | None = Field(
        default=None, description="The names of all speakers by number, if they have changed"
    )


class VersionOut(Schema):
    """The transcript after an editing session."""

    revision: int
    at: datetime | None = Field(
        description="Time of the last change; null: the original transcript"
    )
    edits: int = Field(description="Number of changes since the previous version")
    kinds: list[EditKind]


class TextOut(Schema):
    """A part of a passage: the `same` in both versions, `removed` since, or `added` since."""

    kind: str
    text: str


class PassageOut(Schema):
    """Where a version differs from the current transcript. `start` is in seconds."""

    start: float
    speaker_before: str
    speaker: str
    texts: list[TextOut]


class VersionDetailsOut(Schema):
    """Where a version differs from the current transcript."""

    revision: int
    passages: list[PassageOut]
