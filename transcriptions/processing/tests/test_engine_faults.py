"""Whatever an engine does, a recording ends with its whole transcript, or failed with a message."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import UsageRecord
from gpu.types import (
    Complete,
    EngineError,
    EngineEvent,
    Metadata,
    OutOfMemory,
    Segment,
    Unreachable,
    UsageDelta,
    Word,
)
from transcodio_site.testing import wait_until
from transcriptions.models import State, Transcription
from transcriptions.processing import commands, engine_calls, pipeline
from transcriptions.processing.tests.helpers import FIVE_SENTENCES, expire, fresh
from transcriptions.testing import ScriptedEngine, charged_ms, prepare_again, spoken, texts

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("check_no_temporary_files"),
]


def run_until_finished(row: Transcription) -> Transcription:
    """Work on the row like workers do, without waiting for the time of a retry."""
    for _ in range(2 * pipeline.MAX_ATTEMPTS):
        pipeline.transcribe(row.id)
        if fresh(row).is_finished:
            break
        expire(row)
    return fresh(row)


def check_completed_once(row: Transcription) -> None:
    assert (row.state, texts(row)) == (State.COMPLETED, FIVE_SENTENCES)
    assert UsageRecord.objects.filter(billed=True).count() == 1
    assert charged_ms(row.owner) == 10_000


def fails_once(error: Exception) -> Callable[[], None]:
    """A function that raises `error` the first time."""
    errors = [error]

    def fail() -> None:
        if errors:
            raise errors.pop()

    return fail


# --- Errors -------------------------------------------------------------------------------------


@pytest.mark.covers("fault", "Modal is down while a recording is transcribed")
@pytest.mark.parametrize("segments", [0, 1, 3, 4])
def test_interrupted_recording_has_the_segments_of_an_undisturbed_one(
    prepared: Transcription, engine: ScriptedEngine, segments: int
) -> None:
    engine.before[segments + 1] = fails_once(Unreachable("the connection was lost"))
    check_completed_once(run_until_finished(prepared))


@pytest.mark.covers("fault", "The engine fails after some segments")
@pytest.mark.covers("fault", "The engine runs out of memory")
@pytest.mark.parametrize(
    ("error", "words"),
    [
        (EngineError("CUDA error"), "Try again"),
        (OutOfMemory("CUDA out of memory"), "overloaded"),
        (MemoryError(), "on our side"),
        (RecursionError(), "on our side"),
    ],
)
def test_failed_recording_completes_when_it_is_resumed(
    prepared: Transcription, engine: ScriptedEngine, error: Exception, words: str
) -> None:
    engine.before[4] = fails_once(error)
    row = run_until_finished(prepared)
    assert (row.state, texts(row)) == (State.FAILED, FIVE_SENTENCES[:3])
    assert words in row.error_message
    assert charged_ms(row.owner) == 0
    commands.retry(row)
    prepare_again(row)
    check_completed_once(run_until_finished(row))


# --- Silence ------------------------------------------------------------------------------------


class Clock:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.now, self.asked = 0.0, 0

    def monotonic(self) -> float:
        """Seconds."""
        self.asked += 1
        return self.now

    def advance(self, seconds: float) -> None:
        """Return when the waiting side has seen the new time twice."""
        self.now, asked = self.now + seconds, self.asked
        wait_until(lambda: self.asked >= asked + 2)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of engine calls."""
    clock = Clock()
    monkeypatch.setattr(engine_calls, "time", clock)
    return clock


@pytest.fixture
def hang(
    clock: Clock, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], None]]:
    """A function in which an engine hangs, longer than it may, until the end of the test."""
    monkeypatch.setattr(engine_calls, "CLOSE_TIMEOUT_S", 0.1)
    awake = threading.Event()

    def wait() -> None:
        clock.now += settings.ENGINE_SILENCE_SECONDS + 1
        awake.wait()

    yield wait
    awake.set()


@pytest.mark.covers("fault", "The engine starts for two minutes")
def test_engine_may_take_two_minutes_to_start(
    prepared: Transcription, engine: ScriptedEngine, clock: Clock
) -> None:
    engine.before[1] = lambda: clock.advance(120)
    assert pipeline.transcribe(prepared.id)
    check_completed_once(fresh(prepared))


@pytest.mark.covers("fault", "The engine hangs")
def test_recording_of_a_hanging_engine_is_retried(
    prepared: Transcription, engine: ScriptedEngine, hang: Callable[[], None]
) -> None:
    engine.before[3] = hang
    assert not pipeline.transcribe(prepared.id)  # its thread is free again
    row = fresh(prepared)
    assert (row.state, texts(row), row.attempts) == (State.PREPARED, FIVE_SENTENCES[:2], 1)
    assert row.progress.lease_until
    assert row.progress.lease_until > timezone.now()
    engine.before.clear()
    check_completed_once(run_until_finished(prepared))


@pytest.mark.slow
@pytest.mark.covers("fault", "The engine hangs at every attempt")
def test_recording_fails_if_the_engine_always_hangs(
    prepared: Transcription, engine: ScriptedEngine, hang: Callable[[], None]
) -> None:
    engine.before[1] = hang
    row = run_until_finished(prepared)
    assert (row.state, row.error_code) == (State.FAILED, "timed_out")
    assert "took too long" in row.error_message
    assert charged_ms(row.owner) == 0


# --- Garbage ------------------------------------------------------------------------------------


def segment(start: float, end: float, text: str = "Garbage.") -> Segment:
    return Segment((Word(start, end, text),))


class GarbageEngine(ScriptedEngine):
    """Yields two sentences, then `garbage`."""

    garbage: tuple[EngineEvent, ...] = ()

    def stream(self, *arguments: Any) -> Any:
        """See `gpu.types.Engine`."""
        yield Metadata("en", "scripted-1")
        yield spoken(1)
        yield spoken(2)
        yield from self.garbage


@pytest.mark.covers("fault", "The engine returns impossible times, empty text, or no end")
@pytest.mark.parametrize(
    "garbage",
    [
        [segment(-1.0, 3.0)],
        [segment(4.0, 3.0)],
        [segment(0.5, 3.0)],  # within the sentences before
        [segment(3.0, math.nan)],
        [segment(math.nan, 3.0)],
        [segment(3.0, math.inf)],
        [segment(3.0, 1e9)],
        [segment(1e9, 1e9)],
        [segment(4.0, 5.0), segment(3.0, 4.0)],
        [Segment((Word(3.0, 4.0, "a"), Word(2.0, 2.5, "b")))],
        [segment(3.0, 4.0, "")],
        [segment(3.0, 4.0, " \n")],
        [segment(3.0, 4.0, "NUL\0")],
        [Segment(())],
        [Metadata("a language with a very long name", "model")],
        [UsageDelta(math.nan)],
        [Complete(1.0, -1.0)],
        [Complete(1.0, math.inf)],
        [],
    ],
    ids=str,
)
def test_garbage_fails_with_a_message(
    prepared: Transcription, monkeypatch: pytest.MonkeyPatch, garbage: list[EngineEvent]
) -> None:
    engine = GarbageEngine()
    engine.garbage = tuple(garbage)
    monkeypatch.setattr(pipeline, "get_engine", lambda name: engine)
    assert not pipeline.transcribe(prepared.id)
    row = fresh(prepared)
    assert row.state == State.FAILED
    assert row.error_message
    assert texts(row)[:2] == FIVE_SENTENCES[:2]
    assert len(texts(row)) == len(garbage[:-1]) + 2  # nothing of the garbage is stored
    assert charged_ms(row.owner) == 0


def test_events_after_the_end_are_ignored(
    prepared: Transcription, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = GarbageEngine()
    engine.garbage = (Complete(10.0, 0.5), spoken(3), Complete(10.0, 0.5))
    monkeypatch.setattr(pipeline, "get_engine", lambda name: engine)
    assert pipeline.transcribe(prepared.id)
    assert (fresh(prepared).state, texts(prepared)) == (State.COMPLETED, FIVE_SENTENCES[:2])
    assert charged_ms(prepared.owner) == 10_000
