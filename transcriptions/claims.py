"""Holding on to a claimed row while slow work goes on, and knowing when to let go of it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection

from gpu.types import Cancelled
from transcriptions.models import LeaseLost, Transcription

log = logging.getLogger(__name__)

# Set when the worker is asked to stop: work is handed back at its next step instead of cut off.
shutting_down = threading.Event()


class Claim:
    """A claimed row whose lease is renewed in the background."""

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
        while not self._done.wait(settings.LEASE_SECONDS / 4):
            try:
                row.renew()
            except LeaseLost:
                self._lost.set()
                return
            except DatabaseError as error:  # try again while the lease still has time
                log.warning("%s: the lease could not be renewed: %s", row.id, error)
            finally:
                connection.close()


@contextmanager
def kept(row: Transcription) -> Iterator[Claim]:
    """Renews the lease of `row` while the body runs."""
    claim = Claim(row)
    thread = threading.Thread(target=claim._renew_until_done, daemon=True)
    thread.start()
    try:
        yield claim
    finally:
        claim._done.set()
        thread.join()
