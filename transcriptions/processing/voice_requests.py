"""Which worker does what an owner has asked about voices, and what it uses: comparisons of voices,
and voices to learn.

The request has a lease. What the worker uses is stored with it, and recorded in the transaction
that ends the request, so that it is in the ledger once, even if workers are killed. A request that
kills workers fails.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Generic, TypeVar

from django.db import transaction
from django.db.models import F

from gpu.types import Cancelled, EngineError
from transcriptions.exceptions import AudioError, LeaseLost, StorageUnavailable
from transcriptions.models import SplitProposal, Transcription, VoiceLearning, lease_end
from transcriptions.models.voice_request import VoiceRequest, VoiceRequestQuerySet
from transcriptions.processing.leases import shutting_down
from transcriptions.usage import metering

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
CHECK_INTERVAL_S = 1.0  # between two renewals of the lease

R = TypeVar("R", bound=VoiceRequest)
Store = Callable[[R], object]  # called in the transaction that ends the request


def run(
    requests: VoiceRequestQuerySet[R],
    request_id: int,
    listen: Callable[[Lease[R]], Store[R]],
    fail: Store[R],
) -> None:
    """Do the work on a request, unless it does not wait or another worker has it. `listen` returns
    what stores the result; `fail` stores that it is impossible."""
    lease = _claimed(requests, request_id)
    if lease is None:
        return
    request = lease.request
    try:
        # If there were more attempts, they have killed their workers.
        lease.end(listen(lease) if request.attempts <= MAX_ATTEMPTS else fail)
    except LeaseLost:
        log.info("%s: voices: nobody waits any more, or another worker has it", request)
    except Cancelled:
        lease.release(attempts=F("attempts") - 1)
    except StorageUnavailable as error:
        log.warning("%s: voices: will be tried again: %s", request, error)
        lease.release()
    except (AudioError, EngineError, OSError, ValueError) as error:
        log.error("%s: voices: %s", request, error)
        with suppress(LeaseLost):
            lease.end(fail)


def discard(requests: VoiceRequestQuerySet[Any]) -> None:
    """Delete requests. A worker that has one loses it; what was used until then is recorded. Must
    be called in a transaction."""
    locked = requests.select_for_update(of=("self",), no_key=True).order_by("id")
    for request in locked.select_related("transcription"):
        _record(request, request.decode_seconds)
        request.delete()


def discard_before_delete(
    sender: type[Transcription], instance: Transcription, **kwargs: Any
) -> None:
    """Receiver of `pre_delete`, after that of `lifecycle`, which has locked the recording."""
    discard(SplitProposal.objects.filter(transcription=instance))
    discard(VoiceLearning.objects.filter(transcription=instance))


def _claimed(requests: VoiceRequestQuerySet[R], request_id: int) -> Lease[R] | None:
    """None if there is nothing to do, or another worker does it."""
    due = requests.due().filter(id=request_id)
    if not due.update(lease_until=lease_end(), attempts=F("attempts") + 1):
        return None
    found = requests.select_related("transcription").filter(id=request_id).first()
    return Lease(requests, found) if found else None  # unless it was deleted meanwhile


class Lease(Generic[R]):
    """Renewed by the thread that does the work. What it uses is stored with it."""

    def __init__(self, requests: VoiceRequestQuerySet[R], request: R) -> None:
        self.request = request
        self._own = requests.waiting().filter(id=request.pk, attempts=request.attempts)
        self._started_at: float | None = None  # on the clock of the thread
        self._checked_at = time.monotonic()

    def start_metering(self) -> None:
        """The time of the CPU from now on counts."""
        self._started_at = time.thread_time()

    def check(self) -> None:
        """Raises Cancelled if the worker shuts down, LeaseLost if nobody waits any more."""
        if shutting_down.is_set():
            raise Cancelled("the worker is shutting down")
        if time.monotonic() - self._checked_at >= CHECK_INTERVAL_S:
            self._checked_at = time.monotonic()
            if not self._own.update(lease_until=lease_end(), decode_seconds=self._used()):
                raise LeaseLost

    def release(self, **values: Any) -> None:
        """Another worker continues. Does nothing if the lease is lost."""
        self._own.update(lease_until=None, decode_seconds=self._used(), **values)

    def end(self, store: Store[R]) -> None:
        """Store the result, and record the usage of all attempts. Raises LeaseLost."""
        with transaction.atomic():
            rows = Transcription.objects.filter(id=self.request.transcription.id)
            row = rows.select_for_update(no_key=True).first()
            if row is None or not self._own.update(lease_until=None, decode_seconds=0.0):
                raise LeaseLost
            _record(self.request, self._used())
            store(self.request)

    def _used(self) -> float:
        """Seconds, with those of earlier attempts."""
        own = 0.0 if self._started_at is None else time.thread_time() - self._started_at
        return self.request.decode_seconds + own


def _record(request: VoiceRequest, seconds: float) -> None:
    metering.record_voices(request.transcription, seconds, request.usage_reason)
