"""Segments that an engine yields together are stored together; none waits for another."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from gpu.types import (
    Complete,
    EngineError,
    EngineEvent,
    LiveEvent,
    Metadata,
    Partial,
    Segment,
    TurnEnded,
    TurnStarted,
    UsageDelta,
)
from transcodio_site.testing import WAIT_S
from transcriptions.models import State, Transcription
from transcriptions.processing import engine_calls, pipeline
from transcriptions.processing.engine_calls import Result, watched
from transcriptions.processing.tests.helpers import FIVE_SENTENCES, expire, fresh, no_check
from transcriptions.realtime import streams
from transcriptions.realtime.stored import read_events
from transcriptions.schemas.events import Event, MetadataEvent
from transcriptions.testing import ScriptedEngine, charged_ms, spoken, texts

SPOKEN = [spoken(number) for number in range(1, 6)]


class Pause:
    """A point in an engine's work at which it waits. What it has yielded before is available."""

    def __init__(self) -> None:
        self.reached, self.go_on = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.reached.set()
        assert self.go_on.wait(WAIT_S)


# --- Calls of an engine -------------------------------------------------------------------------


def test_ends_of_turns_stay_between_the_segments() -> None:
    turns: list[Result] = [TurnEnded(1.0), TurnStarted(1.5), TurnEnded(2.0, 1), Complete(2.0, 0.5)]
    events: list[Result] = [
        SPOKEN[0],
        turns[0],
        turns[1],
        Partial(()),
        SPOKEN[1],
        turns[2],
        turns[3],
    ]
    expected = [[SPOKEN[0]], turns[0], turns[1], [SPOKEN[1]], turns[2], turns[3]]
    assert list(pipeline.grouped(events)) == expected


def test_available_segments_come_together_and_none_waits_for_the_next() -> None:
    pauses = [Pause(), Pause()]

    def stream() -> Iterator[EngineEvent]:
        yield SPOKEN[0]
        pauses[0]()
        yield from SPOKEN[1:4]
        pauses[1]()
        yield SPOKEN[4]

    events = watched(stream, no_check, lambda usage: None)
    assert next(events) == SPOKEN[:1]  # while the engine works on the next one
    pauses[0].go_on.set()
    assert pauses[1].reached.wait(WAIT_S)
    assert next(events) == SPOKEN[1:4]
    pauses[1].go_on.set()
    assert [event for later in events for event in later] == SPOKEN[4:]


def test_engine_is_never_further_ahead_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_calls, "MAX_AHEAD", 2)
    yielded: list[int] = []

    def stream() -> Iterator[EngineEvent]:
        for number, segment in enumerate(SPOKEN, 1):
            yielded.append(number)
            yield segment

    stored = 0
    for events in watched(stream, no_check, lambda usage: None):
        assert len(yielded) <= stored + 2
        stored += len(events)
    assert stored == 5


def test_error_comes_after_the_events_before_it() -> None:
    def stream() -> Iterator[EngineEvent]:
        yield from SPOKEN[:2]
        raise EngineError("CUDA error")

    received: list[LiveEvent] = []

    def receive() -> None:
        for events in watched(stream, no_check, lambda usage: None):
            received.extend(events)

    with pytest.raises(EngineError, match="CUDA error"):
        receive()
    assert received == SPOKEN[:2]


@pytest.mark.covers("fault", "A worker stops before it has stored what the engine has sent")
def test_usage_of_events_that_nobody_takes_is_counted() -> None:
    pauses, seconds = [Pause(), Pause()], list[float]()

    def stream() -> Iterator[EngineEvent]:
        yield SPOKEN[0]
        pauses[0]()
        for segment in SPOKEN[1:]:
            yield UsageDelta(0.1)
            yield segment
        pauses[1]()

    events = watched(stream, no_check, lambda usage: seconds.append(usage.decode_seconds))
    with closing(events):
        next(events)
        pauses[0].go_on.set()
        assert pauses[1].reached.wait(WAIT_S)
        pauses[1].go_on.set()
    assert seconds == [0.1] * 4


# --- The pipeline -------------------------------------------------------------------------------


class BatchEngine(ScriptedEngine):
    """Yields all sentences at once. `all_sent` is set when they are available."""

    def __init__(self, *events: EngineEvent) -> None:
        super().__init__()
        self.all_sent, self.script = threading.Event(), events

    def _events(self, audio: Any) -> Iterator[EngineEvent]:
        yield Metadata("en", "scripted-1")
        for event in self.script:
            if not isinstance(event, Segment) or self._within(audio.spans, round(event.end)):
                yield event
        self.all_sent.set()
        yield Complete(audio_seconds=5.0, decode_seconds=0.5)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> BatchEngine:
    """Five sentences together, with partials and usage between them."""
    events = [(UsageDelta(0.1), Partial(s.words), s) for s in SPOKEN]
    engine = BatchEngine(*(event for each in events for event in each))
    monkeypatch.setattr(pipeline, "get_engine", lambda name: engine)
    return engine


@pytest.fixture
def published(engine: BatchEngine, monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    """The published events. The first one is published when the engine has sent all sentences."""
    publish, events = streams.publish, list[Event]()

    def record(transcription_id: Any, event: Event) -> None:
        if isinstance(event, MetadataEvent):
            assert engine.all_sent.wait(WAIT_S)
        events.append(event)
        publish(transcription_id, event)

    monkeypatch.setattr(streams, "publish", record)
    return events


@pytest.mark.django_db(transaction=True)
def test_batch_is_stored_in_one_transaction_and_published_one_by_one(
    prepared: Transcription, published: list[Event]
) -> None:
    with CaptureQueriesContext(connection) as statements:
        assert pipeline.transcribe(prepared.id)
    inserts = [s for s in statements if "INSERT INTO transcriptions_segment" in s["sql"]]
    assert len(inserts) == 1
    assert texts(prepared) == FIVE_SENTENCES
    assert [event.id for event in published] == [0, 1, 2, 3, 4, 5, 6]
    assert [event.type for event in published[1:6]] == ["progress"] * 5


@pytest.mark.django_db(transaction=True)
@pytest.mark.covers(
    "fault", "The worker is killed after it has stored segments, and before their events"
)
def test_segments_are_complete_after_a_crash_between_batch_and_publish(
    prepared: Transcription, published: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = streams.publish

    def die(transcription_id: Any, event: Event) -> None:
        if event.id == 3:
            raise KeyboardInterrupt  # nothing in the pipeline catches it
        publish(transcription_id, event)

    with monkeypatch.context() as patch:
        patch.setattr(streams, "publish", die)
        with pytest.raises(KeyboardInterrupt):
            pipeline.transcribe(prepared.id)
    assert [event.id for event in published] == [0, 1, 2]
    assert texts(prepared) == FIVE_SENTENCES
    # A subscriber that has received two of them.
    assert [event.id for event in read_events(prepared.id, 2).events] == [3, 4, 5]
    expire(prepared)
    assert pipeline.transcribe(prepared.id)
    assert fresh(prepared).state == State.COMPLETED
    assert texts(prepared) == FIVE_SENTENCES
    assert [event.id for event in read_events(prepared.id, 2).events] == [3, 4, 5, 6]
    assert charged_ms(prepared.owner) == 10_000
