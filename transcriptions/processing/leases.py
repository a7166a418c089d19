"""Renewal of the leases of claimed rows during slow work, and detection of their loss.

One thread serves all rows that this process works on: their number does not change what it asks.
"""

from __future__ import annotations

import contextvars
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection

from gpu.types import Cancelled
from transcriptions.exceptions import DATABASE_AWAY, LeaseLost
from transcriptions.models import Transcription
from transcriptions.processing import lifecycle, scheduling

log = logging.getLogger(__name__)

shutting_down = threading.Event()  # set when the worker shuts down: its work is released

CHECK_INTERVAL_S = 0.5  # between two checks of the leases: a cancelled job still uses a GPU


class LeaseHolder:
    """The lease of one claimed row. It learns, even while the engine yields nothing, that the row
    was cancelled or deleted."""

    def __init__(self, row: Transcription) -> None:
        self.row = row
        # A separate instance: both threads would refresh a shared one.
        self.claimed = Transcription(id=row.id, lease=row.lease, state=row.state)
        # So that what is logged about it has the same ids.
        self.context = contextvars.copy_context()
        self._lost = threading.Event()
        self._changing = threading.Lock()  # while either thread may return the row to the queue

    def check(self) -> None:
        """Raises LeaseLost if this worker no longer has the row, Cancelled if it should stop."""
        if self.is_lost:
            raise LeaseLost(str(self.row.id))
        if shutting_down.is_set():
            raise Cancelled("the worker is shutting down")

    def should_stop(self) -> bool:
        """Whether `check` would raise."""
        return self.is_lost or shutting_down.is_set()

    @property
    def is_lost(self) -> bool:
        """Whether there is nothing to renew any more."""
        return self._lost.is_set()

    def lose(self) -> None:
        """The row has another worker, or none; or the work on it has ended."""
        with self._changing:
            self._lost.set()

    def release(self) -> None:
        """Return the row to the queue, although the engine may be in a long batch. Raises
        DatabaseError."""
        with self._changing:
            if not self.is_lost:
                with suppress(LeaseLost):
                    lifecycle.release(self.claimed)
                self._lost.set()


class LeaseKeeper:
    """Renews and checks the leases of all holders in a thread, which lives as long as there are
    any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders: set[LeaseHolder] = set()
        self._empty = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, holder: LeaseHolder) -> None:
        """Renew and check this one, too."""
        with self._lock:
            self._holders.add(holder)
            if self._thread is None:
                self._empty = threading.Event()
                self._thread = threading.Thread(
                    target=self._run, args=(self._empty,), daemon=True, name="leases"
                )
                self._thread.start()

    def remove(self, holder: LeaseHolder) -> None:
        """The work has ended: the lease is not touched after this call."""
        holder.lose()
        with self._lock:
            self._holders.discard(holder)
            if self._holders or not self._thread:
                return
            thread, self._thread = self._thread, None
            self._empty.set()
        thread.join()

    def _run(self, empty: threading.Event) -> None:
        interval, renewed = settings.LEASE_SECONDS / 4, time.monotonic()
        while not empty.wait(min(CHECK_INTERVAL_S, interval)):
            with self._lock:
                holders = [holder for holder in self._holders if not holder.is_lost]
            is_due = time.monotonic() - renewed >= interval
            try:
                if shutting_down.is_set():
                    _release(holders)
                else:
                    _check(holders, is_due)
                if is_due:
                    renewed = time.monotonic()
            except Exception as error:  # retried until other workers have the rows
                for holder in holders:
                    holder.context.run(_log_failure, holder, error)
            finally:
                connection.close()


def _release(holders: list[LeaseHolder]) -> None:
    for holder in holders:
        holder.context.run(holder.release)
    if holders:
        scheduling.enqueue_next()  # for other workers


def _check(holders: list[LeaseHolder], renew: bool) -> None:
    rows = [holder.claimed for holder in holders]
    if rows and renew:
        lifecycle.renew_leases(rows)
    held = lifecycle.still_held(rows) if rows else set()
    for holder in holders:
        if holder.claimed.lease not in held:
            holder.lose()


def _log_failure(holder: LeaseHolder, error: Exception) -> None:
    is_expected = isinstance(error, DatabaseError)
    message = "%s: the lease could not be checked: %s"
    log.warning(message, holder.row.id, error, exc_info=not is_expected)


_keeper = LeaseKeeper()


@contextmanager
def hold_lease(row: Transcription) -> Iterator[LeaseHolder]:
    """Hold the lease of `row` while the body runs."""
    holder = LeaseHolder(row)
    _keeper.add(holder)
    try:
        yield holder
    finally:
        _keeper.remove(holder)


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
            log.warning("the database is still unavailable: %s", error)
    return None
