"""The cost of many watchers: one connection, one serialization, shared queries, bounded memory."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, aclosing
from typing import Any

import pytest
from channels.db import database_sync_to_async

from gpu.types import Complete, Metadata
from transcodio_site.testing import WAIT_S
from transcriptions import testing
from transcriptions.models import State, Transcription
from transcriptions.processing import lifecycle
from transcriptions.realtime import hub, stored, streams
from transcriptions.realtime.messages import event_channel
from transcriptions.realtime.stored import Batch
from transcriptions.realtime.tests.subscriptions import subscriber_connections, until_subscribers
from transcriptions.schemas.events import (
    EventSchema,
    MetadataEvent,
    ProgressEvent,
    final_event,
)

pytestmark = pytest.mark.django_db(transaction=True)

WATCHERS = 50


@pytest.fixture
def started(prepared: Transcription) -> Transcription:
    """A recording whose engine has started."""
    row = lifecycle.claim(prepared.id, State.TRANSCRIBING)
    assert row
    lifecycle.mark_started(row, "scripted", Metadata("en", "scripted-1"))
    return row


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ids after which events were read from the database."""
    calls: list[int] = []
    original = stored.read_events

    def read(transcription_id: Any, after: int, known_changes: int) -> Batch:
        calls.append(after)
        return original(transcription_id, after, known_changes)

    monkeypatch.setattr(stored, "read_events", read)
    return calls


async def add_segment(row: Transcription, number: int, publish: bool = True) -> None:
    segment = await database_sync_to_async(testing.add_segment)(row, number)
    if publish:
        streams.publish(row.id, ProgressEvent.of(segment))


async def test_watchers_share_connection_queries_and_serialization(
    started: Transcription, reads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    dumped: list[int] = []
    original = EventSchema.model_dump_json

    def dump(event: Any, *args: Any, **options: Any) -> str:
        dumped.append(event.id)
        return original(event, *args, **options)

    async with AsyncExitStack() as stack, asyncio.timeout(WAIT_S):
        watchers = [
            await stack.enter_async_context(aclosing(streams.subscribe(started.id)))
            for _ in range(WATCHERS)
        ]

        async def next_of_all() -> list[Any]:
            return list(await asyncio.gather(*(anext(watcher) for watcher in watchers)))

        assert {event.id for event in await next_of_all()} == {0}
        assert await subscriber_connections() == 1
        assert len(reads) <= 2  # of the first watcher, and of those that came during its query
        reads.clear()
        waiting = asyncio.create_task(next_of_all())
        await add_segment(started, 1)
        events = await waiting
        assert len(set(map(id, events))) == 1
        assert reads == []
        monkeypatch.setattr(EventSchema, "model_dump_json", dump)
        assert len({event.as_json for event in events}) == 1
        assert len({id(event.as_sse) for event in events}) == 1
        assert dumped == [1]
        await add_segment(started, 2, publish=False)
        await add_segment(started, 3)
        assert {event.id for event in await next_of_all()} == {2}
        assert {event.id for event in await next_of_all()} == {3}
        assert len(reads) <= 2
    await until_subscribers(started, 0)


async def test_idle_watcher_costs_no_query_between_rechecks(
    started: Transcription, reads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    checks: list[str] = []
    rechecks: list[str] = []

    async def newest(channels: list[str]) -> dict[str, Any]:
        rechecks.extend(channels)
        return {}

    def is_authorized() -> bool:
        checks.append("query")
        return True

    monkeypatch.setattr(stored, "newest", newest)
    monkeypatch.setattr(streams, "HEARTBEAT_S", 0.01)
    monkeypatch.setattr(hub, "TICK_S", 0.01)
    events = streams.subscribe_while_authorized(is_authorized, started.owner_id, started.id)
    async with aclosing(events), asyncio.timeout(WAIT_S):
        assert isinstance(await anext(events), MetadataEvent)
        reads.clear()
        checks.clear()
        for _ in range(20):
            assert await anext(events) is None
    assert (reads, checks, rechecks) == ([], [], [])


async def test_access_that_has_ended_before_the_subscription_is_noticed(
    started: Transcription,
) -> None:
    """Its end was announced to nobody: the token was revoked after the handshake."""
    events = streams.subscribe_while_authorized(lambda: False, started.owner_id, started.id)
    assert [event async for event in events] == []


async def test_slow_watcher_is_bounded_and_complete(
    started: Transcription, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "MAX_QUEUED", 3)
    count = 12

    async with aclosing(streams.subscribe(started.id)) as slow, asyncio.timeout(WAIT_S):
        assert isinstance(await anext(slow), MetadataEvent)
        async with aclosing(streams.subscribe(started.id)) as fast:
            for number in range(1, count + 1):
                await add_segment(started, number)
            await database_sync_to_async(lifecycle.mark_completed)(started, Complete(1.0, 0.1))
            streams.publish(started.id, final_event(started, count))
            assert [event.id async for event in fast if event] == list(range(count + 2))
        (watcher,) = (
            hub._hubs[asyncio.get_running_loop()]._topics[event_channel(started.id)].watchers
        )
        assert len(watcher._messages) <= 3
        assert [event.id async for event in slow if event] == list(range(1, count + 2))
