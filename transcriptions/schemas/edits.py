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

MAX_CHANGES, MAX_SEGMENTS = 5000, 100  # in one request; instead of others in one change
MAX_SEGMENT_NUMBER = 2_147_483_647

Text = Annotated[str, Field(min_length=1, max_length=5000, pattern=TEXT_PATTERN)]
SegmentNumber = Annotated[StrictInt, Field(ge=0, le=MAX_SEGMENT_NUMBER)]


class NewSegmentIn(Body):
    """A segment: its text, and who says it. Without a speaker, it is by whoever said its words."""

    text: Text
    speaker: Annotated[StrictInt, Field(ge=1, le=MAX_NUMBER)] | None = None
    paragraph: StrictBool | None = Field(
        default=None, description="Whether a paragraph begins with it; null: as before"
    )


class ReplacementIn(Body):
    """Segments instead of those with the numbers `from` to `to`, both included. None deletes these.
    If `to` is one less than `from`, they are inserted before `from`."""

    first: Annotated[SegmentNumber, Field(alias="from", ge=1)]
    last: Annotated[SegmentNumber, Field(alias="to")]
    segments: Annotated[list[NewSegmentIn], Field(max_length=MAX_SEGMENTS)]
    expected_texts: Annotated[list[str], Field(max_length=MAX_SEGMENTS)] | None = Field(
        default=None, description="The texts you expect to replace. If they are others, 409"
    )

    @model_validator(mode="after")
    def _is_range(self) -> ReplacementIn:
        if not 0 <= self.last - self.first + 1 <= MAX_SEGMENTS:
            raise ValueError(f"`from` to `to` can be up to {MAX_SEGMENTS} segments")
        if self.last < self.first and not self.segments:
            raise ValueError("it changes nothing")
        return self


class EditsIn(Body):
    """Changes of a transcript, in order of their segments, with the numbers before the request. All
    are made, or none."""

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

    @model_validator(mode="after")
    def _are_in_order(self) -> EditsIn:
        last = 0
        for change in self.changes:
            if change.first <= last:
                raise ValueError("the changes must be in order, and must not overlap")
            last = max(change.last, change.first - 1)
        return self


class ReplacedOut(Schema):
    """Segments instead of those that had the numbers `from` to `to`. Those after them are numbered
    anew."""

    first: int = Field(serialization_alias="from")
    last: int = Field(serialization_alias="to")
    segments: list[SegmentOut]


class EditsOut(Schema):
    """What has changed. If `revision` is not one more than that you know, somebody else has made
    changes, too."""

    revision: int = Field(description="How often the transcript was changed")
    changes: list[ReplacedOut]
    undo: bool = Field(description="Whether there is a change to undo")
    redo: bool = Field(description="Whether a change that was undone can be made again")
    speakers: dict[int, str] | None = Field(
        default=None, description="The names of all speakers by number, if they have changed"
    )


class VersionOut(Schema):
    """The transcript after a session of work on it."""

    revision: int
    at: datetime | None = Field(description="Of the last change; null: when it was recognized")
    edits: int = Field(description="How many changes since the version before")
    kinds: list[EditKind]


class TextOut(Schema):
    """A part of a passage: the `same` in both versions, `removed` since, or `added` since."""

    kind: str
    text: str


class PassageOut(Schema):
    """Where a version differs from the present transcript. `start` is in seconds."""

    start: float
    speaker_before: str
    speaker: str
    texts: list[TextOut]


class VersionDetailsOut(Schema):
    """Where a version differs from the present transcript."""

    revision: int
    passages: list[PassageOut]
