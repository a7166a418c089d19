"""Speakers as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from ninja import Schema
from pydantic import Field, StrictInt, model_validator

from accounts.schemas import Body
from transcriptions.models import DiarizationJob, Segment, Speaker
from transcriptions.models.speaker import MAX_NAME_CHARS, speaker_label

MAX_NUMBER = 32767
MAX_SEGMENT = 2**31 - 1
MAX_PARTS = 20_000  # of a request


class SpeakerOut(Schema):
    """A speaker in a recording."""

    number: int = Field(description="The value of `speaker` in segments and words")
    name: str | None = Field(description="Null until the speaker has a name")
    label: str = Field(description="The text to show: the name, or `Speaker 1`")
    seconds: float = Field(description="Total duration of this speaker's words")
    recognized: bool = Field(
        default=False, description="Whether the name was found by voice, not set by a user"
    )
    voice: int | None = Field(
        default=None, description="Id of the voice that was recognized, or is learned from here"
    )


class SpeakerDetectionOut(Schema):
    """The later detection of speakers in a completed recording."""

    state: Literal["waiting", "running", "failed"]
    error: str | None = Field(description="Why it failed")

    @classmethod
    def of(cls, job: DiarizationJob) -> SpeakerDetectionOut:
        """Create from a row."""
        return cls(state=job.state, error=job.error or None)


class SpeakerIn(Body):
    """The name of a speaker; null or empty for none."""

    model_config = Body.example(name="Anna")

    name: Annotated[str | None, Field(max_length=MAX_NAME_CHARS)]


class MergeIn(Body):
    """Two speaker numbers: `from` is the same person as `into`, whose number is kept."""

    model_config = Body.example(**{"from": 2, "into": 1})

    number: Annotated[StrictInt, Field(alias="from", ge=1, le=MAX_NUMBER)]
    into: Annotated[StrictInt, Field(ge=1, le=MAX_NUMBER)]

    @model_validator(mode="after")
    def _are_two(self) -> MergeIn:
        if self.number == self.into:
            raise ValueError("two different speakers")
        return self


class PartIn(Body):
    """A segment, or only its words from `first_word` to `last_word`, counted from 1."""

    segment: Annotated[StrictInt, Field(ge=1, le=MAX_SEGMENT)]
    first_word: Annotated[StrictInt | None, Field(ge=1)] = None
    last_word: Annotated[StrictInt | None, Field(ge=1)] = None


class AssignIn(Body):
    """Segments, or some of their words, and their speaker. The next unused number creates a new
    speaker."""

    model_config = Body.example(
        speaker=2, parts=[{"segment": 1, "first_word": 1, "last_word": 1}, {"segment": 2}]
    )

    speaker: Annotated[StrictInt, Field(ge=1, le=MAX_NUMBER)]
    parts: Annotated[list[PartIn], Field(min_length=1, max_length=MAX_PARTS)]


class SplitIn(Body):
    """The segments in which a new speaker replaces this one."""

    model_config = Body.example(segments=[3, 4, 7])

    segments: Annotated[
        list[Annotated[StrictInt, Field(ge=1, le=MAX_SEGMENT)]],
        Field(min_length=1, max_length=MAX_PARTS),
    ]
    revision: Annotated[StrictInt | None, Field(ge=0)] = None  # of the proposal


class SegmentSpeakers(Schema):
    """The speaker of a segment, and those of its words in order; null where they are unknown."""

    id: int
    speaker: int | None
    words: list[int | None]
    overlap: list[int] = Field(
        default=[],
        exclude_if=lambda numbers: not numbers,
        description="Words during which someone else speaks, from 1; absent if there are none",
    )

    @classmethod
    def of(cls, row: Segment) -> SegmentSpeakers:
        """Create from a row."""
        return cls(
            id=row.number,
            speaker=row.speaker,
            words=[word.get("speaker") for word in row.words],
            overlap=[number for number, word in enumerate(row.words, 1) if "overlap" in word],
        )


class ChangedSpeakers(Schema):
    """All speakers, and the changed segments."""

    speakers: list[SpeakerOut]
    segments: list[SegmentSpeakers]


def speakers_of(rows: Iterable[Speaker], words: Iterable[dict[str, Any]]) -> list[SpeakerOut]:
    """The speakers in order of their numbers: all rows, and speakers of stored words, who have no
    row until processing has finished."""
    known = {row.number: row for row in rows}
    seconds = dict.fromkeys(known, 0.0)
    for word in words:
        if (number := word.get("speaker")) is not None:
            seconds[number] = seconds.get(number, 0.0) + word["end"] - word["start"]
    return [
        _speaker(known.get(number) or Speaker(number=number), seconds[number])
        for number in sorted(seconds)
    ]


def _speaker(row: Speaker, seconds: float) -> SpeakerOut:
    return SpeakerOut(
        number=row.number,
        name=row.name or None,
        label=speaker_label(row.number, row.name),
        seconds=round(seconds, 3),
        recognized=row.is_recognized,
        voice=row.voice_id,
    )
