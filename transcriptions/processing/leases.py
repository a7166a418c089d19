"""Holding on to a claimed row while slow work goes on, and knowing when to let go of it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection

from gpu.types import Cancelled
from transcriptions.exceptions import LeaseLost
from transcriptions.models import Transcription
from transcriptions.processing import lifecycle

log = logging.getLogger(__name__)

# Set when the worker is asked to stop: work is handed back at its next step instead of cut off.
shutting_down = threading.Event()


CHECK_INTERVAL_S = 0.5  # between two checks of the lease: a GPU may be at work


class LeaseHolder:
    """A claimed row that is looked after in the background: its lease is renewed, and a change of
    its owner's mind is noticed although nothing is said just now."""

    def __init__(self, row: Transcription) -> None:
        self.row = row
        self._lost = threading.Event()
        self._done = threading.Event()

    def check(self) -> None:
        """Raises LeaseLost if the row is no longer ours, Cancelled if the worker should stop."""
        if self._lost.is_set():
            raise LeaseLost(str(self.row.id))
        if shutting_down.is_set():
            raise Cancelled("the worker is shutting down")

    def is_over(self) -> bool:
        """Whether `check` would raise."""
        return self._lost.is_set() or shutting_down.is_set()

    def _renew_until_done(self) -> None:
        # A row of its own: the other thread's must not change under its hands.
        row = Transcription(id=self.row.id, lease=self.row.lease)
        every, renewed = settings.LEASE_SECONDS / 4, time.monotonic()
        while not self._done.wait(min(CHECK_INTERVAL_S, every)):
            try:
                if time.monotonic() - renewed < every:
                    lifecycle.ensure_held(row)
                else:
                    lifecycle.renew_lease(row)
                    renewed = time.monotonic()
            except LeaseLost:
                self._lost.set()
                return
            except DatabaseError as error:  # try again while the lease still has time
                log.warning("%s: the lease could not be looked at: %s", row.id, error)
            finally:
                connection.close()


@contextmanager
def hold_lease(row: Transcription) -> Iterator[LeaseHolder]:
    """Looks after `row` while the body runs."""
    holder = LeaseHolder(row)
    thread = threading.Thread(target=holder._renew_until_done, daemon=True)
    thread.start()
    try:
        yield holder
    finally:
        holder._done.set()
        thread.join()
