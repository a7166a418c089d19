"""Event streams of transcriptions: complete, in order, and without duplicates.

A subscriber first receives the events stored in the database, then published ones. Event ids have
no gaps, so a published event is passed on only if its id is exactly the next one. In any other case
(a gap, a timeout, a lost connection) the missing events are read from the database.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any

from asgiref.sync import async_to_sync
from channels.db import database_sync_to_async
from channels.layers import get_channel_layer
from django.utils.translation import gettext as _
from pydantic import TypeAdapter
from redis.exceptions import RedisError

from transcriptions.models import Transcription
from transcriptions.schemas.events import (
    CompleteEvent,
    ErrorEvent,
    Event,
    MetadataEvent,
    PartialEvent,
    ProgressEvent,
    final_event,
)

log = logging.getLogger(__name__)

BEFORE_FIRST_EVENT = -1  # the id to subscribe after in order to receive every event
HEARTBEAT_S = 10.0  # without a message for this long, None is yielded and the database is queried
RECONNECT_DELAY_S = 1.0
SEGMENTS_PER_QUERY = 200
_parse_event = TypeAdapter(Event).validate_python

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message | None]]


def publish(transcription_id: uuid.UUID, event: Event) -> None:
    """Send an event to all subscribers. Call it after the commit that stored the event."""
    message = {"type": "transcription.event", "event": event.model_dump(mode="json")}
    try:
        async_to_sync(_layer().group_send)(_group(transcription_id), message)
    except (RedisError, OSError) as error:
        # Processing goes on: subscribers will read the event from the database.
        log.warning("event %s of %s was not published: %s", event.id, transcription_id, error)


async def subscribe(
    transcription_id: uuid.UUID, after: int = BEFORE_FIRST_EVENT
) -> AsyncGenerator[Event | None]:
    """Every event with an id above `after`, in order, until complete or error.

    Yields None after HEARTBEAT_S without a message, so that the caller can send a keep-alive.
    """
    async with _joined_group(transcription_id) as receive:
        message: Message | None = None
        while True:
            published = _parse_event(message["event"]) if message else None
            events = await _next_events(transcription_id, after, published)
            for event in events:
                # The final event is read again by subscribers that have received it already.
                if event.id > after or isinstance(event, PartialEvent):
                    yield event
                    after = event.id
                if isinstance(event, CompleteEvent | ErrorEvent):
                    return
            if len(events) < SEGMENTS_PER_QUERY:
                message = await receive()
                _raise_if_cancelled()
                if message is None:
                    yield None


async def wait_for_end(transcription_id: uuid.UUID) -> None:
    """Wait until the transcription is completed, failed, cancelled, or deleted."""
    async with aclosing(subscribe(transcription_id)) as events:
        async for _event in events:
            pass


async def subscribe_while_authorized(
    is_authorized: Callable[[], bool],
    transcription_id: uuid.UUID,
    after: int = BEFORE_FIRST_EVENT,
) -> AsyncGenerator[Event | None]:
    """Like `subscribe`, but ends when the token or session is no longer valid.

    `is_authorized` runs in a thread, at least every HEARTBEAT_S while events are received.
    """
    check = database_sync_to_async(is_authorized, thread_sensitive=False)
    checked_at = time.monotonic()
    async with aclosing(subscribe(transcription_id, after)) as events:
        async for event in events:
            if event is None or time.monotonic() - checked_at > HEARTBEAT_S:
                if not await check():
                    return
                checked_at = time.monotonic()
            yield event


async def _next_events(
    transcription_id: uuid.UUID, after: int, published: Event | None
) -> list[Event]:
    """The published event if it follows `after`, nothing if it is old, else what is stored."""
    if published is None:
        return await _stored_events(transcription_id, after)
    expected_id = after if isinstance(published, PartialEvent) else after + 1
    if published.id > expected_id:
        return await _stored_events(transcription_id, after)
    return [published] if published.id == expected_id else []


def _read_events(transcription_id: uuid.UUID, after: int) -> list[Event]:
    # The row is read before its segments: if it has finished, all its segments are stored.
    row = Transcription.objects.defer("spans", "peaks").filter(id=transcription_id).first()
    if row is None:
        return [_deleted_event(transcription_id, after)]
    if not row.model and not row.is_finished:
        return []  # no events yet; later ones are published to the group that we have joined
    events: list[Event] = []
    if after < 0 and row.model:
        events.append(MetadataEvent.of(row))
    segments = row.segments.filter(number__gt=after).order_by("number")[:SEGMENTS_PER_QUERY]
    events.extend(ProgressEvent.of(segment) for segment in segments)
    if row.is_finished and len(segments) < SEGMENTS_PER_QUERY:
        events.append(final_event(row, row.segments.count()))
    return events


def _deleted_event(transcription_id: uuid.UUID, after: int) -> ErrorEvent:
    detail = _("The transcription has been deleted.")
    return ErrorEvent(id=after + 1, transcription=transcription_id, code="deleted", detail=detail)


async def _stored_events(transcription_id: uuid.UUID, after: int) -> list[Event]:
    # A thread of the pool: a thread-sensitive call would hold one thread per open stream.
    read = database_sync_to_async(_read_events, thread_sensitive=False)
    events: list[Event] = await read(transcription_id, after)
    return events


@asynccontextmanager
async def _joined_group(transcription_id: uuid.UUID) -> AsyncIterator[Receive]:
    """A function that returns the next message, or None after HEARTBEAT_S without one."""
    layer, group = _layer(), _group(transcription_id)
    channel = await layer.new_channel()

    async def receive() -> Message | None:
        try:
            # Joining again is cheap, and restores the membership after Valkey was restarted.
            await layer.group_add(group, channel)
            async with asyncio.timeout(HEARTBEAT_S):
                message: Message = await layer.receive(channel)
                return message
        except TimeoutError:
            return None
        except (RedisError, OSError) as error:
            log.warning("events of %s: %s", transcription_id, error)
            await asyncio.sleep(RECONNECT_DELAY_S)
            return None

    # Join before the first query, so that no event is lost between the two.
    with suppress(RedisError, OSError):
        await layer.group_add(group, channel)
    try:
        yield receive
    finally:
        with suppress(RedisError, OSError):
            await layer.group_discard(group, channel)


def _raise_if_cancelled() -> None:
    """Raise a cancellation that the Redis client has swallowed while it was interrupted: the stream
    of a client that has disconnected would go on."""
    task = asyncio.current_task()
    if task and task.cancelling():
        raise asyncio.CancelledError


def _group(transcription_id: uuid.UUID) -> str:
    return f"transcription.{transcription_id}"


def _layer() -> Any:
    return get_channel_layer()
