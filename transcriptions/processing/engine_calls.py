"""A call of an engine, guarded against engines that hang or break their contract."""

from __future__ import annotations

import contextvars
import math
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TypeVar

from django.conf import settings

from gpu import tracing
from gpu.types import (
    Complete,
    DeadlineExceeded,
    EngineError,
    EngineEvent,
    LiveEvent,
    Metadata,
    Partial,
    Segment,
    TurnEnded,
    TurnStarted,
    UsageDelta,
    Word,
)

CHECK_INTERVAL_S = 0.5  # between two checks whether the work should stop
CLOSE_TIMEOUT_S = 5.0  # that the end of a call waits for the engine to stop
# How far a segment may reach into the one before it, and beyond the end of the recording.
MAX_OVERLAP_S, MAX_EXCESS_S = 0.2, 1.0
MAX_AHEAD = 64  # events of an engine that are not stored yet

Event = TypeVar("Event", bound=LiveEvent)
Stream = Callable[[], Iterator[EngineEvent]] | Callable[[], Iterator[LiveEvent]]
# An event that is not about usage.
Result = Metadata | Partial | Segment | TurnStarted | TurnEnded | Complete


@dataclass(frozen=True, slots=True)
class _End:
    """Marks the end of the events, with the error that ended them, if any."""

    error: BaseException | None


Answers = queue.SimpleQueue[LiveEvent | _End]


def watched(
    stream: Stream,
    check: Callable[[], None],
    add_usage: Callable[[UsageDelta], None],
    max_silence_s: float | None = None,
) -> Generator[list[Result]]:
    """The events of `stream()`, which runs in a thread of its own, MAX_AHEAD events ahead at the
    most. Each list has all that are available: none waits for the next one. Usage is not in them,
    but passed to `add_usage`, also that of events that the caller does not take any more.

    The caller stops as soon as `check` raises, even while the engine hangs or decodes a long batch.
    Raises DeadlineExceeded if the engine yields nothing for `max_silence_s`, by default
    ENGINE_SILENCE_SECONDS.
    """
    limit_s = settings.ENGINE_SILENCE_SECONDS if max_silence_s is None else max_silence_s
    slots, stopped = threading.Semaphore(MAX_AHEAD), threading.Event()
    answers = Answers()
    context = contextvars.copy_context()  # so that its log lines have the same ids
    arguments = (_answer_requests, stream, slots, stopped, answers)
    thread = threading.Thread(target=context.run, args=arguments, daemon=True, name="engine-call")
    thread.start()
    try:
        while True:
            taken = [_wait_for(answers, check, limit_s), *_available(answers)]
            yield _without_usage(taken, add_usage)
            if isinstance(end := taken[-1], _End):
                if end.error:
                    raise end.error
                return
            slots.release(len(taken))
    finally:
        stopped.set()
        slots.release()
        thread.join(CLOSE_TIMEOUT_S)
        _without_usage(_available(answers), add_usage)


def _answer_requests(
    stream: Stream, slots: threading.Semaphore, stopped: threading.Event, answers: Answers
) -> None:
    error = None
    try:
        with tracing.span("engine.stream", engine=settings.STT_ENGINE):
            events: Iterator[LiveEvent] = stream()
            while slots.acquire() and not stopped.is_set():
                if (event := next(events, None)) is None:
                    break
                answers.put(event)
    except BaseException as raised:
        error = raised
    answers.put(_End(error))


def _wait_for(answers: Answers, check: Callable[[], None], limit_s: float) -> LiveEvent | _End:
    deadline = time.monotonic() + limit_s
    while True:
        try:
            return answers.get(timeout=CHECK_INTERVAL_S)
        except queue.Empty:
            check()
            if time.monotonic() > deadline:
                raise DeadlineExceeded(f"the engine sent nothing for {limit_s} s") from None


def _available(answers: Answers) -> Iterator[LiveEvent | _End]:
    with suppress(queue.Empty):
        while True:
            yield answers.get_nowait()


def _without_usage(
    answers: Iterable[LiveEvent | _End], add_usage: Callable[[UsageDelta], None]
) -> list[Result]:
    events: list[Result] = []
    for answer in answers:
        if isinstance(answer, UsageDelta):
            add_usage(answer)
        elif not isinstance(answer, _End):
            events.append(answer)
    return events


def as_one_call(calls: Iterable[Generator[list[Result]]]) -> Generator[list[Result]]:
    """The events of calls, one after the other, as those of one call: with the first Metadata, and
    one Complete with all usage."""
    usage, has_started = Complete(0.0, 0.0), False
    for call in calls:
        with closing(call):
            for events in call:
                yield [
                    event
                    for event in events
                    if not isinstance(event, Complete)
                    and not (has_started and isinstance(event, Metadata))
                ]
                has_started |= any(isinstance(event, Metadata) for event in events)
                usage = sum((e for e in events if isinstance(e, Complete)), usage)
    yield [usage]


def checked(events: Iterable[Event], position: float, duration: float) -> Iterator[Event]:
    """The same events, up to Complete. `position` is the end of the last stored segment.

    Raises EngineError at the first one that breaks the contract of `gpu.types.Engine`.
    """
    for event in events:
        match event:
            case Segment():
                _check_segment(event, position, duration)
                position = event.end
            case Complete() | UsageDelta():
                _check_usage(event)
        yield event
        if isinstance(event, Complete):
            return
    raise EngineError("the engine has ended without Complete")


def _check_segment(segment: Segment, position: float, duration: float) -> None:
    if not segment.words or not segment.text.strip():
        raise EngineError("the engine has sent an empty segment")
    for word in segment.words:
        if not _is_plausible(word, position, duration):
            raise EngineError(f"the engine has sent {word} after {position} of {duration} s")
        position = word.start


def _is_plausible(word: Word, position: float, duration: float) -> bool:
    """Comparisons with NaN are false."""
    in_order = position - MAX_OVERLAP_S <= word.start <= word.end <= duration + MAX_EXCESS_S
    return in_order and word.start >= 0 and "\0" not in word.text


def _check_usage(usage: Complete | UsageDelta) -> None:
    times = (usage.decode_seconds, usage.queue_seconds, usage.load_seconds)
    if not all(0 <= seconds < math.inf for seconds in times):
        raise EngineError(f"the engine has sent {usage}")
