"""A call of an engine, guarded against engines that hang or break their contract."""

from __future__ import annotations

import contextvars
import math
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator

from django.conf import settings

from gpu import tracing
from gpu.types import (
    Complete,
    DeadlineExceeded,
    EngineError,
    EngineEvent,
    Segment,
    UsageDelta,
    Word,
)

CHECK_INTERVAL_S = 0.5  # between two checks whether the work should stop
CLOSE_TIMEOUT_S = 5.0  # that the end of a call waits for the engine to stop
# How far a segment may reach into the one before it, and beyond the end of the recording.
MAX_OVERLAP_S, MAX_EXCESS_S = 0.2, 1.0

Stream = Callable[[], Iterator[EngineEvent]]
Answer = EngineEvent | BaseException | None


def watched(stream: Stream, check: Callable[[], None]) -> Iterator[EngineEvent]:
    """The events of `stream()`, which runs in a thread of its own, one event ahead at the most.

    The caller stops as soon as `check` raises, even while the engine hangs or decodes a long batch.
    Raises DeadlineExceeded if the engine yields nothing for ENGINE_SILENCE_SECONDS.
    """
    wanted, answers = queue.SimpleQueue[bool](), queue.SimpleQueue[Answer]()
    context = contextvars.copy_context()  # so that its log lines have the same ids
    arguments = (_answer_requests, stream, wanted, answers)
    thread = threading.Thread(target=context.run, args=arguments, daemon=True, name="engine-call")
    thread.start()
    try:
        wanted.put(True)
        while event := _wait_for(answers, check):
            yield event
            wanted.put(True)
    finally:
        wanted.put(False)
        thread.join(CLOSE_TIMEOUT_S)


def _answer_requests(
    stream: Stream, wanted: queue.SimpleQueue[bool], answers: queue.SimpleQueue[Answer]
) -> None:
    try:
        with tracing.span("engine.stream", engine=settings.STT_ENGINE):
            events = stream()
            while wanted.get():
                answers.put(next(events, None))
    except BaseException as error:
        answers.put(error)


def _wait_for(answers: queue.SimpleQueue[Answer], check: Callable[[], None]) -> EngineEvent | None:
    deadline = time.monotonic() + settings.ENGINE_SILENCE_SECONDS
    while True:
        try:
            answer = answers.get(timeout=CHECK_INTERVAL_S)
        except queue.Empty:
            check()
            if time.monotonic() > deadline:
                message = f"the engine sent nothing for {settings.ENGINE_SILENCE_SECONDS} s"
                raise DeadlineExceeded(message) from None
        else:
            if isinstance(answer, BaseException):
                raise answer
            return answer


def checked(
    events: Iterable[EngineEvent], position: float, duration: float
) -> Iterator[EngineEvent]:
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
