"""Subscribers hear everything once and in order, whatever happens to the messages on the way."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest
import redis.asyncio
from asgiref.sync import async_to_sync
from channels.db import database_sync_to_async
from django.conf import settings
from django.db import connection

from gpu.types import Complete, Metadata
from transcodio_site.testing import WAIT_S
from transcriptions import events
from transcriptions.models import State, Transcription
from transcriptions.schemas import Event, MetadataEvent, PartialEvent, ProgressEvent, ending
from transcriptions.tests.conftest import spoken

pytestmark = pytest.mark.django_db(transaction=True)


class Recording:
    """A row that a worker has claimed, and what the worker does with it."""

    def __init__(self, row: Transcription) -> None:
        claimed = Transcription.objects.claim(row.id, State.TRANSCRIBING)
        assert claimed
        self.row = claimed

    def start(self) -> Event:
        self.row.started("scripted", Metadata("en", "scripted-1"))
        return MetadataEvent.of(self.row)

    def say(self, number: int) -> Event:
        return ProgressEvent.of(self.row.add_segment(spoken(number)))

    def end(self) -> Event:
        self.row.completed(Complete(1.0, 0.1))
        return ending(self.row, self.row.segments.count())

    async def tell(self, *changes: Callable[[], Event], aloud: bool = True) -> list[Event]:
        """Makes the changes; announces them too unless the messages are to be lost."""

        def work() -> list[Event]:
            made = [change() for change in changes]
            for event in made if aloud else []:
                events.publish(self.row.id, event)
            return made

        made: list[Event] = await database_sync_to_async(work, thread_sensitive=False)()
        return made


@pytest.fixture
def recording(prepared: Transcription) -> Recording:
    return Recording(prepared)


class Listener:
    """A subscriber that writes down what it hears."""

    def __init__(self, recording: Recording, after: int = events.NOTHING_SEEN) -> None:
        self.heard: list[Event] = []
        self.silences = 0
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._listen(recording, after))
        self._task.add_done_callback(lambda task: self._news.set())

    async def _listen(self, recording: Recording, after: int) -> None:
        async with aclosing(events.subscribe(recording.row.id, after)) as stream:
            async for event in stream:
                if event is None:
                    self.silences += 1
                else:
                    self.heard.append(event)
                self._news.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not condition():
                if self._task.done():
                    self._task.result()  # what broke it off is what is wrong
                    pytest.fail(f"the stream ended after {self.heard}")
                await self._news.wait()
                self._news.clear()

    async def end(self) -> list[int]:
        async with asyncio.timeout(WAIT_S):
            await self._task
        return [event.id for event in self.heard]


async def test_what_is_stored_comes_first_and_then_what_happens(recording: Recording) -> None:
    await recording.tell(recording.start, lambda: recording.say(1))
    listener = Listener(recording)
    await listener.until(lambda: len(listener.heard) == 2)
    await recording.tell(lambda: recording.say(2))
    await listener.until(lambda: len(listener.heard) == 3)
    await recording.tell(recording.end)
    assert await listener.end() == [0, 1, 2, 3]
    assert [event.type for event in listener.heard] == [
        "metadata",
        "progress",
        "progress",
        "complete",
    ]


async def test_a_reader_who_comes_back_hears_only_the_rest(recording: Recording) -> None:
    steps = [recording.start, lambda: recording.say(1), lambda: recording.say(2), recording.end]
    await recording.tell(*steps)
    for after, rest in ((-1, [0, 1, 2, 3]), (0, [1, 2, 3]), (1, [2, 3]), (2, [3])):
        assert await Listener(recording, after).end() == rest


async def test_a_lost_message_is_made_up_for_by_the_next(recording: Recording) -> None:
    listener = Listener(recording)
    await recording.tell(recording.start)
    await listener.until(lambda: len(listener.heard) == 1)
    await recording.tell(lambda: recording.say(1), lambda: recording.say(2), aloud=False)
    await recording.tell(lambda: recording.say(3))
    await listener.until(lambda: len(listener.heard) == 4)
    await recording.tell(recording.end)
    assert await listener.end() == [0, 1, 2, 3, 4]


async def test_messages_twice_and_in_disorder_are_heard_once_and_in_order(
    recording: Recording,
) -> None:
    listener = Listener(recording)
    made = await recording.tell(recording.start, aloud=False)
    made += await recording.tell(*(lambda n=n: recording.say(n) for n in range(1, 9)), aloud=False)
    noisy = made * 3
    random.Random(5).shuffle(noisy)
    for event in noisy:
        await asyncio.to_thread(events.publish, recording.row.id, event)
    await listener.until(lambda: len(listener.heard) == 9)
    await recording.tell(recording.end)
    assert await listener.end() == list(range(10))


async def test_an_engine_that_begins_between_two_looks_is_heard_from_its_beginning(
    recording: Recording,
) -> None:
    def read() -> list[Event]:
        """The engine says its first words just after the row was read."""
        begun = False

        def begin(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            nonlocal begun
            result = execute(sql, params, many, context)
            if not begun:
                begun = True
                recording.start()
                recording.say(1)
            return result

        with connection.execute_wrapper(begin):
            found = events._read(recording.row.id, events.NOTHING_SEEN)
        assert begun
        return found

    before = await database_sync_to_async(read)()
    after = max((event.id for event in before), default=events.NOTHING_SEEN)
    await recording.tell(recording.end)
    assert [event.id for event in before] + await Listener(recording, after).end() == [0, 1, 2]


async def test_silence_is_a_reason_to_ask_the_database(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "HEARTBEAT", 0.05)
    listener = Listener(recording)
    await listener.until(lambda: listener.silences > 0)
    await recording.tell(recording.start, lambda: recording.say(1), recording.end, aloud=False)
    assert await listener.end() == [0, 1, 2]


async def test_a_queue_that_forgets_everything_is_told_again(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "HEARTBEAT", 0.1)
    listener = Listener(recording)
    await recording.tell(recording.start)
    await listener.until(lambda: len(listener.heard) == 1)
    client = redis.asyncio.Redis.from_url(settings.REDIS_URL)
    await client.flushall()
    silences = listener.silences
    await listener.until(lambda: listener.silences > silences + 1)
    assert await client.keys(f"*{recording.row.id}*") != []  # messages will arrive again
    await client.aclose()
    await recording.tell(lambda: recording.say(1), recording.end)
    assert await listener.end() == [0, 1, 2]


async def test_long_transcripts_are_read_in_pieces(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "BATCH", 3)
    steps = [lambda n=n: recording.say(n) for n in range(1, 9)]
    await recording.tell(recording.start, *steps, recording.end, aloud=False)
    assert await Listener(recording).end() == list(range(10))


async def test_a_failure_ends_the_stream_with_its_sentence(recording: Recording) -> None:
    await recording.tell(recording.start, lambda: recording.say(1))
    listener = Listener(recording)

    def fail() -> Event:
        recording.row.failed("engine_failed", "It did not work.")
        return ending(recording.row, 1)

    await recording.tell(fail)
    assert await listener.end() == [0, 1, 2]
    last: Any = listener.heard[-1]
    assert (last.type, last.code, last.detail) == ("error", "engine_failed", "It did not work.")


async def test_a_deleted_recording_ends_the_stream(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "HEARTBEAT", 0.05)
    listener = Listener(recording)
    await recording.tell(recording.start)
    await listener.until(lambda: len(listener.heard) == 1)
    await database_sync_to_async(recording.row.delete)()
    assert await listener.end() == [0, 1]
    assert getattr(listener.heard[-1], "code", "") == "deleted"


async def test_who_goes_away_leaves_nothing_in_the_queue(recording: Recording) -> None:
    async with aclosing(events.subscribe(recording.row.id)) as stream:
        await recording.tell(recording.start)
        assert (await anext(stream)) is not None
    client = redis.asyncio.Redis.from_url(settings.REDIS_URL)
    assert await client.keys(f"*{recording.row.id}*") == []
    await client.aclose()


def test_a_queue_that_is_away_does_not_stop_the_work(
    recording: Recording, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from channels_redis.core import RedisChannelLayer

    nobody = RedisChannelLayer(hosts=["unix:///nonexistent/valkey.sock"])
    monkeypatch.setattr(events, "_layer", lambda: nobody)
    events.publish(recording.row.id, recording.start())
    assert async_to_sync(_first)(recording) == 0


async def _first(recording: Recording) -> int:
    async with aclosing(events.subscribe(recording.row.id)) as stream:
        event = await anext(stream)
        assert event is not None
        return event.id


async def test_early_words_are_heard_by_whoever_is_up_to_date_and_never_stored(
    recording: Recording,
) -> None:
    def early(id: int) -> Callable[[], Event]:
        return lambda: PartialEvent(id=id, text="Sentence t")

    listener = Listener(recording)
    await recording.tell(recording.start, lambda: recording.say(1), early(1))
    await listener.until(lambda: len(listener.heard) == 3)
    await recording.tell(early(0), lambda: recording.say(2), recording.end)  # one that is outdated
    assert await listener.end() == [0, 1, 1, 2, 3]
    assert listener.heard[2] == early(1)()
    assert await Listener(recording).end() == [0, 1, 2, 3]


async def test_early_words_that_are_ahead_show_what_was_missed(recording: Recording) -> None:
    listener = Listener(recording)
    await recording.tell(recording.start)
    await listener.until(lambda: len(listener.heard) == 1)
    await recording.tell(lambda: recording.say(1), aloud=False)
    await recording.tell(lambda: PartialEvent(id=1, text="Sentence t"))
    await listener.until(lambda: len(listener.heard) == 2)
    assert listener.heard[1].type == "progress"
    await recording.tell(recording.end)
    assert await listener.end() == [0, 1, 2]
