"""Who waits for the speakers of a recording that is complete, and which worker detects them.

The recording itself stays complete, and has no lease: the job has. Jobs take turns as recordings do
(see `turns`), with at most one of an account at a time, so that detecting the speakers of a whole
library delays neither others nor the recordings of the account.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from celery import current_app
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Max, Min
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from accounts.models import User
from gpu.diarization.clustering import SpeakerLimits
from gpu.types import Cancelled, UsageDelta
from transcriptions import queue
from transcriptions.exceptions import LeaseLost
from transcriptions.models import DiarizationJob, Phase, Transcription, lease_end, record_step
from transcriptions.models.diarization_job import DiarizationJobQuerySet
from transcriptions.processing.leases import shutting_down
from transcriptions.realtime import streams
from transcriptions.schemas.events import SpeakersEvent, final_event
from transcriptions.usage import metering

TASK = "transcriptions.tasks.diarize"
MAX_ATTEMPTS = 3  # fewer than for recordings: what kills workers must not fail these, too
MAX_RECOVERED = 100  # in one call
RETRY_DELAY_S = 30.0
CHECK_INTERVAL_S = 1.0  # between two renewals of the lease, which detect its loss
CLAIM_LOCK: Final = 0x64696172  # the key of an advisory lock of Postgres: any constant
NO_LEASE: dict[str, Any] = {"lease": None, "worker": "", "lease_until": None}


# --- By the owner ----------------------------------------------------------------------------


def under_way(row: Transcription) -> DiarizationJob | None:
    """The job of the recording that is waiting or being processed."""
    return DiarizationJob.objects.under_way().filter(transcription=row).first()


def add(row: Transcription, least: int | None, most: int | None) -> DiarizationJob:
    """A new job. Must be called in a transaction that has locked the recording, which has no job
    under way. Whoever calls it enqueues a message after the commit."""
    DiarizationJob.objects.filter(transcription=row).delete()  # it has failed
    return DiarizationJob.objects.create(
        transcription=row,
        min_speakers=least,
        max_speakers=most,
        virtual_start=_virtual_start(row.owner),
    )


def _virtual_start(owner: User) -> float:
    """As in `turns`. The virtual time is that of the job which is worked on, or comes next."""
    jobs = DiarizationJob.objects.under_way()
    own = jobs.filter(transcription__owner=owner).aggregate(last=Max("virtual_start"))["last"]
    latest = jobs.filter(lease__isnull=False).aggregate(at=Max("virtual_start"))["at"]
    if latest is None:
        latest = jobs.aggregate(at=Min("virtual_start"))["at"] or 0.0
    following = latest if own is None else own + 1 / owner.effective_plan.queue_weight
    return max(float(latest), float(following))


def cancel(row: Transcription) -> None:
    """The worker, if there is one, loses the job. Stored speakers stay as they are. Does nothing if
    none is under way."""
    with transaction.atomic():
        locked = Transcription.objects.select_for_update(no_key=True).filter(id=row.id).first()
        if not locked or not _cancel(locked):
            return
    streams.publish(row.id, final_event(locked, locked.segment_count))


def cancel_before_delete(
    sender: type[Transcription], instance: Transcription, **kwargs: Any
) -> None:
    """Receiver of `pre_delete`, after that of `lifecycle`, which has locked the recording: what was
    used until then is metered."""
    _cancel(instance)


def _cancel(row: Transcription) -> bool:
    """Cancel the job of a locked recording. Return whether one was under way."""
    jobs = DiarizationJob.objects.select_for_update(no_key=True).under_way()
    if job := jobs.filter(pk=row.pk).first():
        _end(job, row, _("The detection of speakers was cancelled. Not charged."))
        job.delete()
    return job is not None


# --- Leases ----------------------------------------------------------------------------------


def claim_next(worker: str = "") -> DiarizationJob | None:
    """Claim the next job in turn. Return None if there is nothing to do now."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [CLAIM_LOCK])
        # Without waiting for a row: who cancels or deletes locks the recording first, then the job.
        locks: dict[str, Any] = {"of": ("self", "transcription"), "skip_locked": True}
        jobs = _claimable().select_for_update(no_key=True, **locks).select_related("transcription")
        job = jobs.order_by("virtual_start", "created_at").first()
        if job is None:
            return None
        job.lease, job.worker = uuid.uuid4(), worker
        held = DiarizationJob.objects.filter(pk=job.pk)
        held.update(lease=job.lease, worker=worker, lease_until=lease_end())
        attempt = f"Attempt {job.attempts + 1}" if job.attempts else ""
        record_step(job.transcription, Phase.SPEAKERS, attempt)
        return job


def _claimable() -> DiarizationJobQuerySet:
    working = DiarizationJob.objects.filter(lease__isnull=False)
    return DiarizationJob.objects.due().exclude(
        transcription__owner__in=working.values("transcription__owner")
    )


class JobLease:
    """The lease of a job. The thread that works on it renews it, by calling `check` often."""

    def __init__(self, job: DiarizationJob) -> None:
        self.job = job
        self._decode_seconds_before = job.decode_seconds
        self._checked_at = time.monotonic()

    def add_usage(self, used: UsageDelta) -> None:
        """Add usage since the job was claimed."""
        self.job.decode_seconds = self._decode_seconds_before + used.decode_seconds
        self.job.gpu = used.gpu

    def add_comparison(self, seconds: float) -> None:
        """Add the CPU time of comparing voices, unless a GPU is paid by the second: it would get
        the price of the GPU."""
        if not self.job.gpu:
            self.job.decode_seconds += seconds

    def check(self) -> None:
        """Raises LeaseLost if the job was cancelled or another worker has it, Cancelled if the
        worker shuts down."""
        if shutting_down.is_set():
            raise Cancelled("the worker is shutting down")
        if time.monotonic() - self._checked_at >= CHECK_INTERVAL_S:
            self._checked_at = time.monotonic()
            _update_held(self.job, lease_until=lease_end(), **_usage(self.job))


def release(job: DiarizationJob, *, after_s: float = 0.0, attempted: bool = False) -> None:
    """Another worker continues it, no earlier than after `after_s`. Counts as an attempt only if
    `attempted`. Raises LeaseLost."""
    values: dict[str, Any] = NO_LEASE | _usage(job)
    values["lease_until"] = Now() + timedelta(seconds=after_s)
    values["attempts"] = F("attempts") + int(attempted)
    _update_held(job, **values)


def recover(lost: DiarizationJobQuerySet) -> None:
    """Take jobs from workers that have died or hang. At most MAX_RECOVERED at a time."""
    for pk in list(lost.values_list("pk", flat=True)[:MAX_RECOVERED]):
        if job := lost.filter(pk=pk).first():
            retry(job, _("The speakers could not be detected."))


def retry(job: DiarizationJob, message: str, after_s: float = 0.0) -> None:
    """Return a job to the queue, up to MAX_ATTEMPTS times; then it has failed, with a message for
    the owner. Does nothing if the lease is lost."""
    try:
        if job.attempts + 1 < MAX_ATTEMPTS:
            release(job, after_s=after_s, attempted=True)
        else:
            mark_failed(job, message)
    except LeaseLost:
        pass


def _usage(job: DiarizationJob) -> dict[str, Any]:
    return {"decode_seconds": job.decode_seconds, "gpu": job.gpu}


def _update_held(job: DiarizationJob, **values: Any) -> None:
    held = DiarizationJob.objects.filter(pk=job.pk, lease=job.lease, lease__isnull=False)
    if not held.update(**values):
        raise LeaseLost(str(job.pk))


# --- Ends ------------------------------------------------------------------------------------


def mark_completed(job: DiarizationJob, store: Callable[[Transcription], SpeakersEvent]) -> None:
    """Call `store`, which stores the speakers of the recording, and publish its event. Raises
    LeaseLost."""
    with transaction.atomic():
        row = _lock(job)
        event = store(row)
        _end(job, row, _("Speakers detected. Not charged."))
        _remember(row, job)
        job.delete()
    streams.publish(row.id, event)
    streams.publish(row.id, final_event(row, row.segment_count))


def _remember(row: Transcription, job: DiarizationJob) -> None:
    """Store the requested number of speakers, to offer it when the recording is recognized
    again."""
    limits = {"min_speakers": job.min_speakers, "max_speakers": job.max_speakers}
    row.stored_options = row.stored_options | limits | {"diarize": True}
    row.stored_options = row.options.as_json()
    row.save(update_fields=["stored_options"])


def mark_failed(job: DiarizationJob, message: str) -> None:
    """The speakers cannot be detected; `message` is for the owner. Raises LeaseLost."""
    with transaction.atomic():
        row = _lock(job)
        _end(job, row, _("The speakers could not be detected. Not charged."))
        DiarizationJob.objects.filter(pk=job.pk).update(error=message, decode_seconds=0, **NO_LEASE)
    streams.publish(row.id, final_event(row, row.segment_count))


def _lock(job: DiarizationJob) -> Transcription:
    """The recording, locked with the job until the transaction ends. Raises LeaseLost."""
    row = Transcription.objects.select_for_update(no_key=True).filter(id=job.pk).first()
    jobs = DiarizationJob.objects.select_for_update(no_key=True)
    if not row or not jobs.filter(pk=job.pk, lease=job.lease, lease__isnull=False).first():
        raise LeaseLost(str(job.pk))
    return row


def _end(job: DiarizationJob, row: Transcription, reason: str) -> None:
    record_step(row, Phase.COMPLETED, reason)
    metering.record_speakers(row, UsageDelta(job.decode_seconds, job.gpu), reason)


# --- Messages --------------------------------------------------------------------------------


def limits_of(job: DiarizationJob) -> SpeakerLimits:
    """The possible numbers of speakers."""
    known = {"minimum": job.min_speakers, "maximum": job.max_speakers}
    return SpeakerLimits(**{name: value for name, value in known.items() if value is not None})


def enqueue_next() -> None:
    """Enqueue a message if a job could start now. While all workers are busy, their number does not
    grow."""
    if _claimable().exists():
        pending = queue.pending(settings.CELERY_TASK_ROUTES[TASK]["queue"])
        if pending < settings.CELERY_WORKER_CONCURRENCY:
            queue.enqueue(current_app.signature(TASK))
