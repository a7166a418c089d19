"""Renewal of the lease of a claimed row during slow work, and detection of its loss."""

from __future__ import annotations

import contextvars
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection

from gpu.types import Cancelled
from transcriptions.exceptions import DATABASE_AWAY, LeaseLost
from transcriptions.models import Transcription
from transcriptions.processing import lifecycle, scheduling

log = logging.getLogger(__name__)

shutting_down = threading.Event()  # set when the worker shuts down: its work is released

CHECK_INTERVAL_S = 0.5  # between two checks of the lease: a cancelled job still uses a GPU


class LeaseHolder:
    """Renews the lease of a claimed row in a thread, which also detects that the row was cancelled
    or deleted, even while the engine yields nothing."""

    def __init__(self, row: Transcription) -> None:
        self.row = row
        self._lost = threading.Event()
        self._done = threading.Event()

    def check(self) -> None:
        """Raises LeaseLost if this worker no longer has the row, Cancelled if it should stop."""
        if self._lost.is_set():
            raise LeaseLost(str(self.row.id))
        if shutting_down.is_set():
            raise Cancelled("the worker is shutting down")

    def should_stop(self) -> bool:
        """Whether `check` would raise."""
        return self._lost.is_set() or shutting_down.is_set()

    def _renew_until_done(self) -> None:
        # A separate instance: both threads would refresh a shared one.
        row = Transcription(id=self.row.id, lease=self.row.lease, state=self.row.state)
        interval, renewed = settings.LEASE_SECONDS / 4, time.monotonic()
        while not self._done.wait(min(CHECK_INTERVAL_S, interval)):
            try:
                if shutting_down.is_set():  # at once: the engine may be in a long batch
                    lifecycle.release(row)
                    self._lost.set()
                    scheduling.enqueue_next()  # for another worker
                    return
                if time.monotonic() - renewed < interval:
                    lifecycle.ensure_held(row)
                else:
                    lifecycle.renew_lease(row)
                    renewed = time.monotonic()
            except LeaseLost:
                self._lost.set()
                return
            except DatabaseError as error:  # retried until another worker has it
                log.warning("%s: the lease could not be checked: %s", row.id, error)
            finally:
                connection.close()


@contextmanager
def hold_lease(row: Transcription) -> Iterator[LeaseHolder]:
    """Hold the lease of `row` while the body runs."""
    holder = LeaseHolder(row)
    # In a copy of this context, so that its log lines have the same ids.
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(holder._renew_until_done,), daemon=True)
    thread.start()
    try:
        yield holder
    finally:
        holder._done.set()
        thread.join()


def retry_while_database_is_away(change: Callable[[], None]) -> None:
    """Make a change of a row whose lease this worker has, as soon as the database is back, unless
    the worker shuts down or another one has taken the row over."""
    while not shutting_down.wait(CHECK_INTERVAL_S):
        connection.close()
        try:
            return change()
        except LeaseLost:
            return None
        except DATABASE_AWAY as error:
            log.warning("the database is still away: %s", error)
    return None
