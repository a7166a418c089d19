"""The opening of a long recording is recognized while the rest of it is still prepared, so that the
first words come early.

Only the opening is prepared by the step before, and the limits are checked with the duration that
the file declares, or that the times in it tell. If the file breaks them nevertheless, or cannot be
decoded to its end, the recording fails, and what was recognized is charged: otherwise it would be
free.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TypeVar

from django.db import transaction

from gpu.types import Cancelled, Segment
from transcriptions.exceptions import AudioError
from transcriptions.models import Options, Transcription
from transcriptions.processing.engine_calls import Result
from transcriptions.usage import metering

# The preparation takes as much of the processor as a small machine has, so that it waits for the
# first words. While an engine starts, they do not come soon.
START_DELAY_S = 3.0
CHECK_INTERVAL_S = 0.2  # between two checks whether the work should stop

T = TypeVar("T")
Check = Callable[[], None]


@contextmanager
def in_background(
    work: Callable[[Check], T], check: Check, start: threading.Event
) -> Iterator[Callable[[], T]]:
    """Run `work(check)` in a thread while the body runs, after `start` is set or START_DELAY_S.
    Yields a function that waits for its result, and raises what `work` or `check` raises. The work
    is stopped if its result is not awaited."""
    stopped = threading.Event()

    def check_both() -> None:
        if stopped.is_set():
            raise Cancelled("nobody waits for it")
        check()

    def run() -> T:
        start.wait(START_DELAY_S)
        check_both()
        return work(check_both)

    context = contextvars.copy_context()  # so that its log lines have the same ids
    pool = ThreadPoolExecutor(1, thread_name_prefix="preparation")
    future = pool.submit(context.run, run)

    def result() -> T:
        start.set()
        while not wait_for([future], CHECK_INTERVAL_S).done:
            check()
        return future.result()

    try:
        yield result
    finally:
        stopped.set()
        start.set()
        pool.shutdown()


def until_segment(
    events: Generator[list[Result]], found: threading.Event
) -> Generator[list[Result]]:
    """The same events. `found` is set when a segment was among them."""
    with closing(events):
        for together in events:
            yield together
            if any(isinstance(event, Segment) for event in together):
                found.set()


def options_for_rest(row: Transcription) -> Options:
    """The options of its owner, with the track of the opening, whose words are shown already."""
    chosen = [track["index"] for track in row.tracks if track["chosen"]]
    return replace(row.options, track=chosen[0]) if chosen else row.options


@contextmanager
def charged_if_refused(row: Transcription) -> Iterator[None]:
    """Charge what was recognized of a recording that the body refuses, with an AudioError."""
    try:
        yield
    except AudioError:
        with transaction.atomic():
            metering.record_refused(row)
        raise
