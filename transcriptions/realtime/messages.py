"""Messages between processes over Valkey: one JSON object each. Messages are only hints. Everything
that they say is stored in the database, so a lost one is recovered.
"""

from __future__ import annotations

import uuid
from typing import Annotated, Literal

from ninja import Schema
from pydantic import Field, TypeAdapter

from transcriptions.schemas.events import (
    CompleteEvent,
    ErrorEvent,
    MetadataEvent,
    PartialEvent,
    ProgressEvent,
    SpeakersEvent,
    TurnEvent,
)

DELETED = 2**31 - 1  # higher than every event id, so that watchers query the recording


class AccessChanged(Schema):
    """A session, a token or the account of the user has changed or ended: check it again."""

    type: Literal["access"] = "access"


class Stored(Schema):
    """The database has the events of the recording up to this id (or DELETED), and this number of
    speaker changes."""

    type: Literal["stored"] = "stored"
    id: int
    changes: int = 0


class LiveEnded(Schema):
    """The live session of the recording accepts no more audio. Its last events follow."""

    type: Literal["live_ended"] = "live_ended"


Message = (
    MetadataEvent
    | ProgressEvent
    | PartialEvent
    | TurnEvent
    | SpeakersEvent
    | CompleteEvent
    | ErrorEvent
    | AccessChanged
    | Stored
    | LiveEnded
)

parse_message = TypeAdapter[Message](Annotated[Message, Field(discriminator="type")]).validate_json


_EVENTS = "transcodio.events."


def event_channel(transcription_id: uuid.UUID) -> str:
    """The channel in Valkey with the events of a recording."""
    return f"{_EVENTS}{transcription_id}"


def event_channel_id(channel: str) -> uuid.UUID | None:
    """The recording of an event channel; None for other channels."""
    return uuid.UUID(channel.removeprefix(_EVENTS)) if channel.startswith(_EVENTS) else None


def access_channel(user_id: int) -> str:
    """The channel in Valkey with AccessChanged."""
    return f"transcodio.access.{user_id}"
