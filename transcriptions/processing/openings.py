"""The opening of a long recording is recognized while the rest of it is still prepared, so that the
first words come early.

Only the opening is prepared by the step before, and the limits are checked with the duration that
the file declares. If the file breaks them nevertheless, or cannot be decoded to its end, the
recording fails, and what was recognized is charged: otherwise it would be free.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from contextlib import contextmanager
from typing import TypeVar

from django.db import transaction

from gpu.types import Cancelled
from transcriptions.exceptions import AudioError
from transcriptions.models import Transcription
from transcriptions.usage import metering

CHECK_INTERVAL_S = 0.2  # between two checks whether the work should stop

T = TypeVar("T")
Check = Callable[[], None]


@contextmanager
def in_background(work: Callable[[Check], T], check: Check) -> Iterator[Callable[[], T]]:
    """Run `work(check)` in a thread while the body runs. Yields a function that waits for its
    result, and raises what `work` or `check` raises. Work that nobody waits for is stopped."""
    stopped = threading.Event()

    def check_both() -> None:
        if stopped.is_set():
            raise Cancelled("nobody waits for it")
        check()

    context = contextvars.copy_context()  # so that its log lines have the same ids
    pool = ThreadPoolExecutor(1, thread_name_prefix="preparation")
    future = pool.submit(context.run, work, check_both)

    def result() -> T:
        while not wait_for([future], CHECK_INTERVAL_S).done:
            check()
        return future.result()

    try:
        yield result
    finally:
        stopped.set()
        pool.shutdown()


@contextmanager
def charged_if_refused(row: Transcription) -> Iterator[None]:
    """Charge what was recognized of a recording that the body refuses, with an AudioError."""
    try:
        yield
    except AudioError:
        with transaction.atomic():
            metering.record_refused(row)
        raise
