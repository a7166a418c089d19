"""Subscribers receive every event once and in order, even if messages are lost or repeated."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.db import connection

from gpu.types import Complete, Metadata
from transcodio_site.testing import WAIT_S
from transcriptions.models import State, Transcription
from transcriptions.processing import lifecycle
from transcriptions.realtime import hub, stored, streams
from transcriptions.realtime.tests.subscriptions import (
    disconnect_subscribers,
    subscriber_connections,
    until_subscribers,
)
from transcriptions.schemas.events import (
    Event,
    MetadataEvent,
    PartialEvent,
    ProgressEvent,
    TurnEvent,
    final_event,
)
from transcriptions.testing import add_segment

pytestmark = pytest.mark.django_db(transaction=True)


class Worker:
    """A worker that has leased a row, and the events that it stores and publishes."""

    def __init__(self, row: Transcription) -> None:
        claimed = lifecycle.claim(row.id, State.TRANSCRIBING)
        assert claimed
        self.row = claimed

    def start(self) -> Event:
        lifecycle.mark_started(self.row, "scripted", Metadata("en", "scripted-1"))
        return MetadataEvent.of(self.row)

    def add_segment(self, number: int) -> Event:
        return ProgressEvent.of(add_segment(self.row, number))

    def complete(self) -> Event:
        lifecycle.mark_completed(self.row, Complete(1.0, 0.1))
        return final_event(self.row, self.row.segments.count())

    async def run(self, *steps: Callable[[], Event], publish: bool = True) -> list[Event]:
        """Run the steps and publish their events; `publish=False` simulates lost messages."""

        def work() -> list[Event]:
            events = [step() for step in steps]
            for event in events if publish else []:
                streams.publish(self.row.id, event)
            return events

        events: list[Event] = await database_sync_to_async(work, thread_sensitive=False)()
        return events


@pytest.fixture
def worker(prepared: Transcription) -> Worker:
    return Worker(prepared)


class Subscriber:
    """Subscribes in a task and collects what it receives."""

    def __init__(self, worker: Worker, after: int = streams.BEFORE_FIRST_EVENT) -> None:
        self.received: list[Event] = []
        self.timeouts = 0
        self._changed = asyncio.Event()
        self._task = asyncio.create_task(self._subscribe(worker, after))
        self._task.add_done_callback(lambda task: self._changed.set())

    async def _subscribe(self, worker: Worker, after: int) -> None:
        async with aclosing(streams.subscribe(worker.row.id, after)) as stream:
            async for event in stream:
                if event is None:
                    self.timeouts += 1
                else:
                    self.received.append(event)
                self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not condition():
                if self._task.done():
                    self._task.result()  # raises the error that ended the stream, if any
                    pytest.fail(f"the stream ended after {self.received}")
                await self._changed.wait()
                self._changed.clear()

    async def until_received(self, count: int) -> None:
        await self.until(lambda: len(self.received) >= count)

    async def end(self) -> list[int]:
        """The ids of all events, once the stream has ended."""
        async with asyncio.timeout(WAIT_S):
            await self._task
        return [event.id for event in self.received]


async def test_stored_events_come_before_published_ones(worker: Worker) -> None:
    await worker.run(worker.start, lambda: worker.add_segment(1))
    subscriber = Subscriber(worker)
    await subscriber.until(lambda: len(subscriber.received) == 2)
    await worker.run(lambda: worker.add_segment(2))
    await subscriber.until(lambda: len(subscriber.received) == 3)
    await worker.run(worker.complete)
    assert await subscriber.end() == [0, 1, 2, 3]
    assert [event.type for event in subscriber.received] == [
        "metadata",
        "progress",
        "progress",
        "complete",
    ]


async def test_subscriber_receives_only_events_after_given_id(worker: Worker) -> None:
    steps = [
        worker.start,
        lambda: worker.add_segment(1),
        lambda: worker.add_segment(2),
        worker.complete,
    ]
    await worker.run(*steps)
    for after, rest in ((-1, [0, 1, 2, 3]), (0, [1, 2, 3]), (1, [2, 3]), (2, [3])):
        assert await Subscriber(worker, after).end() == rest


async def test_lost_message_is_recovered_with_the_next_one(worker: Worker) -> None:
    subscriber = Subscriber(worker)
    await worker.run(worker.start)
    await subscriber.until(lambda: len(subscriber.received) == 1)
    await worker.run(lambda: worker.add_segment(1), lambda: worker.add_segment(2), publish=False)
    await worker.run(lambda: worker.add_segment(3))
    await subscriber.until(lambda: len(subscriber.received) == 4)
    await worker.run(worker.complete)
    assert await subscriber.end() == [0, 1, 2, 3, 4]


async def test_repeated_and_reordered_messages_are_received_once_in_order(
    worker: Worker,
) -> None:
    subscriber = Subscriber(worker)
    events = await worker.run(worker.start, publish=False)
    events += await worker.run(
        *(lambda n=n: worker.add_segment(n) for n in range(1, 9)), publish=False
    )
    messages = events * 3
    random.Random(5).shuffle(messages)
    for event in messages:
        await asyncio.to_thread(streams.publish, worker.row.id, event)
    await subscriber.until(lambda: len(subscriber.received) == 9)
    await worker.run(worker.complete)
    assert await subscriber.end() == list(range(10))


async def test_engine_starting_between_two_queries_loses_no_event(
    worker: Worker,
) -> None:
    def read() -> list[Event]:
        """Read events while the engine starts right after the first query."""
        started = False

        def start_after_query(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            nonlocal started
            result = execute(sql, params, many, context)
            if not started:
                started = True
                worker.start()
                worker.add_segment(1)
            return result

        with connection.execute_wrapper(start_after_query):
            events = list(stored.read_events(worker.row.id, streams.BEFORE_FIRST_EVENT).events)
        assert started
        return events

    before = await database_sync_to_async(read)()
    after = max((event.id for event in before), default=streams.BEFORE_FIRST_EVENT)
    await worker.run(worker.complete)
    assert [event.id for event in before] + await Subscriber(worker, after).end() == [0, 1, 2]


async def test_lost_final_event_is_recovered_by_recheck(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "RECHECK_S", 0.05)
    subscriber = Subscriber(worker)
    await until_subscribers(worker.row, 1)
    await worker.run(worker.start, lambda: worker.add_segment(1), worker.complete, publish=False)
    assert await subscriber.end() == [0, 1, 2]


@pytest.mark.covers("fault", "The connection that receives live events is lost")
async def test_events_during_lost_connection_are_recovered(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "RECONNECT_DELAY_S", 0.1)
    subscriber = Subscriber(worker)
    await worker.run(worker.start)
    await subscriber.until(lambda: len(subscriber.received) == 1)
    await disconnect_subscribers()
    await worker.run(lambda: worker.add_segment(1), publish=False)
    await subscriber.until(lambda: len(subscriber.received) == 2)
    await until_subscribers(worker.row, 1)
    await worker.run(lambda: worker.add_segment(2), worker.complete)
    assert await subscriber.end() == [0, 1, 2, 3]


async def test_long_transcript_is_read_in_batches(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "SEGMENTS_PER_QUERY", 3)
    steps = [lambda n=n: worker.add_segment(n) for n in range(1, 9)]
    await worker.run(worker.start, *steps, worker.complete, publish=False)
    assert await Subscriber(worker).end() == list(range(10))


async def test_failure_ends_stream_with_error_message(worker: Worker) -> None:
    await worker.run(worker.start, lambda: worker.add_segment(1))
    subscriber = Subscriber(worker)

    def fail() -> Event:
        lifecycle.mark_failed(worker.row, "engine_failed", "It did not work.")
        return final_event(worker.row, 1)

    await worker.run(fail)
    assert await subscriber.end() == [0, 1, 2]
    last: Any = subscriber.received[-1]
    assert (last.type, last.code, last.detail) == ("error", "engine_failed", "It did not work.")


async def test_deletion_ends_stream(worker: Worker) -> None:
    subscriber = Subscriber(worker)
    await worker.run(worker.start)
    await subscriber.until(lambda: len(subscriber.received) == 1)
    await database_sync_to_async(worker.row.delete)()
    assert await subscriber.end() == [0, 1]
    assert getattr(subscriber.received[-1], "code", "") == "deleted"


async def test_closed_subscription_leaves_channel_and_connection(worker: Worker) -> None:
    async with aclosing(streams.subscribe(worker.row.id)) as stream:
        await worker.run(worker.start)
        assert (await anext(stream)) is not None
        await until_subscribers(worker.row, 1)
    await until_subscribers(worker.row, 0)
    assert await subscriber_connections() == 0


@pytest.mark.covers("fault", "Valkey is down while a recording is transcribed and watched")
async def test_watchers_share_queries_while_valkey_is_away(
    worker: Worker, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.REDIS_URL = "unix:///nonexistent/valkey.sock"
    monkeypatch.setattr(hub, "POLL_S", 0.1)
    monkeypatch.setattr(hub, "CONFIRMATION_S", 0.1)
    subscribers = [Subscriber(worker) for _ in range(20)]
    await worker.run(worker.start)
    await asyncio.gather(*(subscriber.until_received(1) for subscriber in subscribers))
    steps = [lambda: worker.add_segment(1), lambda: worker.add_segment(2), worker.complete]
    await worker.run(*steps, publish=False)
    for subscriber in subscribers:
        assert await subscriber.end() == [0, 1, 2, 3]


async def test_partials_reach_current_subscribers_and_are_not_stored(
    worker: Worker,
) -> None:
    def partial(number: int) -> Callable[[], Event]:
        return lambda: PartialEvent(id=number, text="Sentence t")

    subscriber = Subscriber(worker)
    await until_subscribers(worker.row, 1)  # partials are not stored: earlier ones are lost
    await worker.run(worker.start, lambda: worker.add_segment(1), partial(1))
    await subscriber.until(lambda: len(subscriber.received) == 3)
    await worker.run(partial(0), lambda: worker.add_segment(2), worker.complete)  # 0 is outdated
    assert await subscriber.end() == [0, 1, 1, 2, 3]
    assert subscriber.received[2] == partial(1)()
    assert await Subscriber(worker).end() == [0, 1, 2, 3]


async def test_partial_ahead_of_subscriber_recovers_missed_segment(worker: Worker) -> None:
    subscriber = Subscriber(worker)
    await worker.run(worker.start)
    await subscriber.until(lambda: len(subscriber.received) == 1)
    await worker.run(lambda: worker.add_segment(1), publish=False)
    await worker.run(lambda: PartialEvent(id=1, text="Sentence t"))
    await subscriber.until(lambda: len(subscriber.received) == 3)
    assert [event.type for event in subscriber.received] == ["metadata", "progress", "partial"]
    await worker.run(worker.complete)
    assert await subscriber.end() == [0, 1, 1, 2]


async def test_turn_before_the_metadata_is_received(worker: Worker) -> None:
    """Speech starts before its language is known, and may end without a word."""

    def turn(state: Any) -> Callable[[], Event]:
        return lambda: TurnEvent(id=0, state=state, time=0.5)

    subscriber = Subscriber(worker)
    await until_subscribers(worker.row, 1)  # turns are not stored: earlier ones are lost
    await worker.run(turn("started"), turn("ended"), turn("started"))
    await subscriber.until_received(3)
    await worker.run(worker.start, turn("ended"), lambda: worker.add_segment(1), worker.complete)
    assert await subscriber.end() == [0, 0, 0, 0, 0, 1, 2]
    assert [event.type for event in subscriber.received] == [
        *["turn"] * 3,
        "metadata",
        "turn",
        "progress",
        "complete",
    ]
