"""Watchers always end up with the current speakers, whatever messages are lost."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from channels.db import database_sync_to_async

from gpu.diarization.types import Turn
from transcriptions.editing.chosen_speakers import ChosenSpeakers
from transcriptions.models import Transcription
from transcriptions.processing import commands, diarization_jobs
from transcriptions.processing.speaker_storage import replace_speakers, store_speakers
from transcriptions.processing.speakers import TurnSpeakers
from transcriptions.realtime import hub, streams
from transcriptions.realtime.tests.subscriptions import until_subscribers
from transcriptions.realtime.tests.test_consumers import SESSION, until_closed, websocket
from transcriptions.realtime.tests.test_sse import EventStreamClient
from transcriptions.realtime.tests.test_streams import Subscriber, Worker
from transcriptions.schemas.events import Event, ProgressEvent, SpeakersEvent, final_event

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def worker(prepared: Transcription) -> Worker:
    return Worker(prepared)


def labels(worker: Worker, speaker: int) -> Callable[[], Event]:
    """A step: all words so far get this speaker."""

    def step() -> Event:
        said_by = TurnSpeakers((Turn(0.0, 3600.0, speaker),), (), math.inf)
        event = store_speakers(worker.row, said_by, is_final=False)
        assert event
        return event

    return step


def known(subscriber: Subscriber) -> dict[int, int | None]:
    """The speakers of segments from a client's point of view."""
    speakers: dict[int, int | None] = {}
    for event in subscriber.received:
        if isinstance(event, ProgressEvent):
            speakers[event.id] = event.segment.speaker
        elif isinstance(event, SpeakersEvent):
            assert all(each.words == [each.speaker] for each in event.segments)
            speakers |= {each.id: each.speaker for each in event.segments}
    return speakers


def types(subscriber: Subscriber) -> list[str]:
    return [event.type for event in subscriber.received]


async def test_change_is_sent_to_current_subscribers(worker: Worker) -> None:
    subscriber = Subscriber(worker)
    await until_subscribers(worker.row, 1)
    await worker.run(worker.start, lambda: worker.add_segment(1), lambda: worker.add_segment(2))
    await worker.run(labels(worker, 1), lambda: worker.add_segment(3), worker.complete)
    assert await subscriber.end() == [0, 1, 2, 2, 3, 4]
    assert known(subscriber) == {1: 1, 2: 1, 3: None}
    event: Any = subscriber.received[3]
    assert [(s.number, s.label, s.seconds) for s in event.speakers] == [(1, "Speaker 1", 1.8)]


async def test_late_subscriber_gets_current_speakers_and_no_change(worker: Worker) -> None:
    await worker.run(worker.start, lambda: worker.add_segment(1), labels(worker, 2))
    subscriber = Subscriber(worker)
    await subscriber.until_received(2)
    await worker.run(worker.complete)
    await subscriber.end()
    assert (types(subscriber), known(subscriber)) == (["metadata", "progress", "complete"], {1: 2})


async def test_resumed_subscriber_gets_the_speakers_of_earlier_segments_first(
    worker: Worker,
) -> None:
    steps = [lambda n=n: worker.add_segment(n) for n in (1, 2, 3)]
    await worker.run(worker.start, *steps, labels(worker, 1), labels(worker, 2), worker.complete)
    subscriber = Subscriber(worker, after=2)
    assert await subscriber.end() == [2, 3, 4]
    assert known(subscriber) == {1: 2, 2: 2, 3: 2}


async def test_resumed_subscriber_gets_no_change_where_there_was_none(worker: Worker) -> None:
    await worker.run(worker.start, lambda: worker.add_segment(1), worker.complete)
    assert await Subscriber(worker, after=1).end() == [2]


@pytest.mark.covers("fault", "The message with changed speakers is lost")
@pytest.mark.parametrize("lost", [1, 2, 3])
async def test_lost_changes_are_recovered_before_the_end(worker: Worker, lost: int) -> None:
    subscriber = Subscriber(worker)
    await until_subscribers(worker.row, 1)
    await worker.run(worker.start, lambda: worker.add_segment(1), lambda: worker.add_segment(2))
    await subscriber.until_received(3)
    for speaker in (1, 2, 3):
        await worker.run(labels(worker, speaker), publish=speaker != lost)
    await worker.run(lambda: worker.add_segment(3), publish=False)
    await worker.run(worker.complete)
    await subscriber.end()
    assert known(subscriber) == {1: 3, 2: 3, 3: None}


async def test_lost_change_is_recovered_by_recheck(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "RECHECK_S", 0.05)
    subscriber = Subscriber(worker)
    await worker.run(worker.start, lambda: worker.add_segment(1))
    await subscriber.until_received(2)
    await worker.run(labels(worker, 1), publish=False)
    await subscriber.until(lambda: known(subscriber) == {1: 1})
    await worker.run(worker.complete)
    await subscriber.end()
    assert types(subscriber).count("speakers") == 1


async def test_change_has_no_id_over_sse(worker: Worker, alice: Any) -> None:
    await worker.run(worker.start, lambda: worker.add_segment(1), labels(worker, 1))
    await worker.run(worker.complete)
    create = database_sync_to_async(EventStreamClient)
    client = await create(alice, worker.row, **{"last-event-id": "1"})
    assert (await client.open())[0] == 200
    text = await client.until("event: complete")
    assert text.index("event: speakers") < text.index("id: 2\nevent: complete")
    assert "id: 1" not in text
    await client.disconnect()


async def test_change_is_sent_over_the_websocket(worker: Worker, alice: Any) -> None:
    await database_sync_to_async(SESSION.save)(must_create=True)
    await worker.run(worker.start, lambda: worker.add_segment(1), labels(worker, 2))
    socket = websocket(alice, worker.row.id, "after=1")
    assert await socket.connect()
    event = await socket.next_event()
    assert (event["type"], event["id"], event["change"]) == ("speakers", 1, 1)
    assert event["segments"] == [{"id": 1, "speaker": 2, "words": [2]}]
    (speaker,) = event["speakers"]
    assert (speaker["number"], speaker["label"], speaker["seconds"]) == (2, "Speaker 2", 0.9)
    await worker.run(labels(worker, 3))
    event = await socket.next_event()
    assert (event["change"], event["segments"][0]["speaker"]) == (2, 3)
    await worker.run(worker.complete)
    assert (await socket.next_event())["type"] == "complete"
    await until_closed(socket)


# --- Speakers of a recording that is complete ------------------------------------------------


@pytest.fixture
def detecting(worker: Worker) -> Worker:
    """A complete recording with two segments, whose speakers are detected."""
    worker.start()
    for number in (1, 2):
        worker.add_segment(number)
    worker.complete()
    commands.detect_speakers(worker.row)
    return worker


def detected(worker: Worker) -> Callable[[], Event]:
    """A step: the job is done, and its events are published."""

    def step() -> Event:
        job = diarization_jobs.claim_next()
        assert job
        one = TurnSpeakers((Turn(0, 100, 1),), (), math.inf)
        store = partial(replace_speakers, speaker_of=one, chosen=ChosenSpeakers([]))
        diarization_jobs.mark_completed(job, store)
        return final_event(worker.row, 2)

    return step


@pytest.mark.parametrize("after", [-1, 2])
async def test_last_event_comes_after_the_speakers_that_are_detected_later(
    detecting: Worker, after: int
) -> None:
    subscriber = Subscriber(detecting, after=after)
    await until_subscribers(detecting.row, 1)
    if after < 2:
        await subscriber.until_received(3)
    await detecting.run(detected(detecting), publish=False)
    await subscriber.end()
    assert types(subscriber)[-2:] == ["speakers", "complete"]
    assert known(subscriber) == {1: 1, 2: 1}


@pytest.mark.covers("fault", "The message that speakers were detected is lost")
async def test_end_of_a_detection_is_recovered_by_recheck(
    detecting: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "RECHECK_S", 0.05)
    subscriber = Subscriber(detecting, after=2)
    await until_subscribers(detecting.row, 1)
    with monkeypatch.context() as patch:
        patch.setattr(streams, "publish", lambda *_: None)
        await detecting.run(detected(detecting), publish=False)
    await subscriber.end()
    assert types(subscriber) == ["speakers", "complete"]


async def test_cancelled_detection_ends_the_stream(detecting: Worker) -> None:
    subscriber = Subscriber(detecting, after=2)
    await until_subscribers(detecting.row, 1)
    cancel = database_sync_to_async(diarization_jobs.cancel)
    await cancel(detecting.row)
    await subscriber.end()
    assert types(subscriber) == ["complete"]
