"""What happens to a recording, told as it happens, with nothing missing and nothing twice.

A subscriber first gets what the database has and then what arrives. Events carry gapless numbers,
so a message is passed on only if it is the very next one; any doubt (a gap, silence, a lost
connection) is settled by asking the database.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any

from asgiref.sync import async_to_sync
from channels.db import database_sync_to_async
from channels.layers import get_channel_layer
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
    ending,
)

log = logging.getLogger(__name__)

NOTHING_SEEN = -1
HEARTBEAT = (
    10.0  # seconds of silence after which a subscriber hears None, and the database is asked
)
BATCH = 200  # segments read at a time
_parse = TypeAdapter(Event).validate_python


def publish(id: uuid.UUID, event: Event) -> None:
    """Tells all subscribers. Call it after commit: it says what the database already knows."""
    message = {"type": "transcription.event", "event": event.model_dump(mode="json")}
    try:
        async_to_sync(_layer().group_send)(_group(id), message)
    except (RedisError, OSError) as error:
        # Not a failure of the recording: subscribers will find it in the database.
        log.warning("event %s of %s was not announced: %s", event.id, id, error)


async def subscribe(id: uuid.UUID, after: int = NOTHING_SEEN) -> AsyncGenerator[Event | None]:
    """Every event with an id above `after`, in order, until complete or error.

    Yields None when nothing happened for HEARTBEAT seconds: a moment for a sign of life.
    """
    async with _listening(id) as receive:
        message: dict[str, Any] | None = None
        while True:
            news = await _news(id, after, _parse(message["event"]) if message else None)
            for event in news:
                # The ending is read again by who has seen it already.
                if event.id > after or isinstance(event, PartialEvent):
                    yield event
                    after = event.id
                if isinstance(event, CompleteEvent | ErrorEvent):
                    return
            if len(news) < BATCH:
                message = await receive()
                if message is None:
                    yield None


async def wait_for_end(id: uuid.UUID) -> None:
    """Returns when the recording is completed, failed, cancelled or deleted."""
    async with aclosing(subscribe(id)) as stream:
        async for _ in stream:
            pass


async def follow(
    is_welcome: Callable[[], bool], id: uuid.UUID, after: int = NOTHING_SEEN
) -> AsyncGenerator[Event | None]:
    """As `subscribe`, for somebody whose token or session may end before the recording does: the
    events stop once they are not welcome any more, which is asked in a thread now and then."""
    asked = time.monotonic()
    ask = database_sync_to_async(is_welcome, thread_sensitive=False)
    async with aclosing(subscribe(id, after)) as stream:
        async for event in stream:
            if event is None or time.monotonic() - asked > HEARTBEAT:
                if not await ask():
                    return
                asked = time.monotonic()
            yield event


async def _news(id: uuid.UUID, after: int, event: Event | None) -> list[Event]:
    """What follows `after`: the event if it is the very next, else what the database has."""
    if event is None:
        return await _stored_events(id, after)
    expected = after if isinstance(event, PartialEvent) else after + 1
    if event.id > expected:
        return await _stored_events(id, after)
    return [event] if event.id == expected else []


def _read(id: uuid.UUID, after: int) -> list[Event]:
    # The row is read first: if it has ended by then, all of its segments are there to be read.
    row = Transcription.objects.defer("spans", "peaks").filter(id=id).first()
    if row is None:
        gone = "The transcription has been deleted."
        return [ErrorEvent(id=after + 1, transcription=id, code="deleted", detail=gone)]
    if not row.model and not row.is_finished:
        return []  # what its engine says after this look is announced to whoever listens already
    events: list[Event] = []
    if after < 0 and row.model:
        events.append(MetadataEvent.of(row))
    segments = row.segments.filter(number__gt=after).order_by("number")[:BATCH]
    events.extend(ProgressEvent.of(segment) for segment in segments)
    if row.is_finished and len(segments) < BATCH:
        events.append(ending(row, row.segments.count()))
    return events


async def _stored_events(id: uuid.UUID, after: int) -> list[Event]:
    # Any free thread will do: a thread of its own would be held for as long as the page is open.
    events: list[Event] = await database_sync_to_async(_read, thread_sensitive=False)(id, after)
    return events


@asynccontextmanager
async def _listening(id: uuid.UUID) -> AsyncIterator[Any]:
    """A function that returns the next message, or None after HEARTBEAT seconds without one."""
    layer, group = _layer(), _group(id)
    channel = await layer.new_channel()

    async def receive() -> dict[str, Any] | None:
        try:
            # Joining again costs little, and heals a group that a restarted server has forgotten.
            await layer.group_add(group, channel)
            async with asyncio.timeout(HEARTBEAT):
                message: dict[str, Any] = await layer.receive(channel)
                return message
        except TimeoutError:
            return None
        except (RedisError, OSError) as error:
            log.warning("events of %s: %s", id, error)
            await asyncio.sleep(1)
            return None

    # Before the first look at the database, so that nothing falls between the two.
    with suppress(RedisError, OSError):
        await layer.group_add(group, channel)
    try:
        yield receive
    finally:
        with suppress(RedisError, OSError):
            await layer.group_discard(group, channel)


def _group(id: uuid.UUID) -> str:
    return f"transcription.{id}"


def _layer() -> Any:
    return get_channel_layer()
