"""Voices as JSON, without their vectors."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, cast

from ninja import Schema
from pydantic import AfterValidator, Field

from accounts.schemas import Body
from accounts.text import NOT_BLANK, validate_display_name
from transcriptions.models import Voice
from transcriptions.models.speaker import MAX_NAME_CHARS

StateName = Literal["learning", "ready", "failed"]


class VoiceOut(Schema):
    """The voice of a person who is recognized in future recordings."""

    id: int
    name: str
    state: StateName = Field(description="`failed`: it was learned from no recording, see `error`")
    error: str | None = Field(
        description="Why it was not learned from the recording that was chosen last"
    )
    recordings: int = Field(description="Number of recordings from which it was learned")
    created_at: datetime

    @classmethod
    def of(cls, voice: Voice) -> VoiceOut:
        """Create from a row that was queried by `with_waiting`."""
        return cls(
            id=voice.id,
            name=voice.name,
            state=cast("StateName", voice.state.value),
            error=voice.error or None,
            recordings=voice.recordings,
            created_at=voice.created_at,
        )


class VoiceIn(Body):
    """A new name for a voice."""

    model_config = Body.example(name="Anna")

    name: Annotated[
        str,
        Field(min_length=1, max_length=MAX_NAME_CHARS, json_schema_extra=NOT_BLANK),
        AfterValidator(validate_display_name),
    ]
