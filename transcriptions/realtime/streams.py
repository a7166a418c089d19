"""Event streams of transcriptions: complete, in order, and without duplicates.

A subscriber first receives the events stored in the database, then published ones. Event ids have
no gaps, so a published event is passed on only if its id is exactly the next one. In any other case
(a gap, a slow client, a lost connection) the missing events are read from the database.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from random import uniform
from typing import TypeGuard

from channels.db import database_sync_to_async

from transcriptions.realtime import stored
from transcriptions.realtime.hub import Watcher, watch
from transcriptions.realtime.messages import (
    DELETED,
    Message,
    Stored,
    access_channel,
    event_channel,
)
from transcriptions.realtime.publisher import publisher
from transcriptions.realtime.stored import BEFORE_FIRST_EVENT as BEFORE_FIRST_EVENT
from transcriptions.schemas.events import (
    CompleteEvent,
    ErrorEvent,
    Event,
    MetadataEvent,
    PartialEvent,
    ProgressEvent,
    SpeakersEvent,
    TurnEvent,
)

StoredEvent = MetadataEvent | ProgressEvent | CompleteEvent | ErrorEvent
# Without an event for this long, plus or minus a fifth, None is yielded. So the keep-alives of
# watchers who have received the same event are not all sent at the same time.
HEARTBEAT_S = 10.0
# Between two checks of a token or session, plus up to half as much, so that not all watchers are
# checked at the same time. A change with a message takes effect immediately.
AUTHORIZATION_CHECK_S = 60.0


def publish(transcription_id: uuid.UUID, event: Event) -> None:
    """Send an event to all subscribers. Call it after the commit that stored the event."""
    publisher.send(event_channel(transcription_id), event.as_json)


async def subscribe(
    transcription_id: uuid.UUID, after: int = BEFORE_FIRST_EVENT
) -> AsyncGenerator[Event | None]:
    """Every event with an id above `after`, in order, until complete or error. Between them come
    changes of speakers in segments that were sent, or that the caller already has.

    Yields None after HEARTBEAT_S without an event, so that the caller can send a keep-alive.
    """
    async with watch(stored.newest, event_channel(transcription_id)) as watcher:
        async with aclosing(_follow(watcher, transcription_id, after)) as events:
            async for event in events:
                yield event


async def wait_for_end(transcription_id: uuid.UUID) -> None:
    """Wait until the transcription is completed, failed, cancelled, or deleted."""
    async with aclosing(subscribe(transcription_id)) as events:
        async for _event in events:
            pass


async def ends_within(transcription_id: uuid.UUID, seconds: float | None) -> bool:
    """Like `wait_for_end`, but for at most `seconds`, if given. Return whether it has ended."""
    try:
        async with asyncio.timeout(seconds):
            await wait_for_end(transcription_id)
    except TimeoutError:
        return False
    return True


async def subscribe_while_authorized(
    is_authorized: Callable[[], bool],
    user_id: int,
    transcription_id: uuid.UUID,
    after: int = BEFORE_FIRST_EVENT,
) -> AsyncGenerator[Event | None]:
    """Like `subscribe`, but ends when the token or session is no longer valid.

    `is_authorized` runs in a thread, when the user's access has changed and at intervals; this
    delays no event.
    """
    check_at = _next_check()
    channels = event_channel(transcription_id), access_channel(user_id)
    async with watch(stored.newest, *channels) as watcher:
        if not await _in_thread(is_authorized):  # it has changed before changes were announced here
            return
        async with aclosing(_follow(watcher, transcription_id, after)) as events:
            async for event in events:
                if watcher.access_changed:
                    watcher.access_changed = False
                    if not await _in_thread(is_authorized):
                        return
                yield event
                if time.monotonic() > check_at:
                    if not await _in_thread(is_authorized):
                        return
                    check_at = _next_check()


async def _in_thread(check: Callable[[], bool]) -> bool:
    return bool(await database_sync_to_async(check, thread_sensitive=False)())


def _next_check() -> float:
    return time.monotonic() + AUTHORIZATION_CHECK_S * uniform(1.0, 1.5)  # noqa: S311


@dataclass(slots=True)
class _Position:
    """What a subscriber has received: events up to an id, and a number of speaker changes."""

    after: int
    changes: int = 0

    def is_behind(self, message: Message | None) -> bool:
        """Whether events before this message, or changes of the speakers, are missing."""
        match message:
            case PartialEvent() | TurnEvent():
                return message.id > self.after
            case Stored():
                return message.id > self.after or message.changes > self.changes
            case SpeakersEvent():
                return message.id > self.after or message.change > self.changes + 1
        return isinstance(message, StoredEvent) and message.id > self.after + 1

    def is_next(self, message: Message | None) -> TypeGuard[Event]:
        """Whether this message is an event that follows."""
        match message:
            case PartialEvent() | TurnEvent():
                # Speech may start before its language is known, and so before the metadata.
                return message.id == max(self.after, 0)
            case SpeakersEvent():
                return message.id <= self.after and message.change == self.changes + 1
        return isinstance(message, StoredEvent) and message.id == self.after + 1

    def move_to(self, event: Event) -> None:
        """Record that the subscriber has received this event."""
        match event:
            case PartialEvent() | TurnEvent():
                pass  # its id is that of a stored event
            case SpeakersEvent():
                self.changes = event.change
            case _:
                self.after = max(self.after, event.id)


async def _follow(
    watcher: Watcher, transcription_id: uuid.UUID, after: int
) -> AsyncGenerator[Event | None]:
    reader, position = stored.shared_reader(transcription_id), _Position(after)
    message: Message | None = Stored(id=DELETED)  # begin with the database
    while True:
        while position.is_behind(message):
            batch = await reader.read(position.after, position.changes)
            position.changes = max(position.changes, batch.changes)
            for event in batch.events:
                # The final event is read again by subscribers that have received it already.
                if event.id > position.after or isinstance(event, SpeakersEvent):
                    yield event
                    position.move_to(event)
                if isinstance(event, CompleteEvent | ErrorEvent):
                    return
            is_last = len(batch.events) < stored.SEGMENTS_PER_QUERY
            del batch  # otherwise it would stay in memory while the watcher waits
            if is_last:
                break
        if position.is_next(message):
            yield message
            position.move_to(message)
            if isinstance(message, CompleteEvent | ErrorEvent):
                return
        message = await watcher.next(HEARTBEAT_S * uniform(0.8, 1.2))  # noqa: S311
        if message is None:
            yield None
