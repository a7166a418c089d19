"""The detection of speakers in completed recordings."""

from __future__ import annotations

from typing import Literal

from django.db import models
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now
from django.utils import timezone

from transcriptions.models.transcription import Transcription, live_lease_ends


class DiarizationJobQuerySet(models.QuerySet["DiarizationJob"]):
    """Queries that more than one module needs."""

    def under_way(self) -> DiarizationJobQuerySet:
        """Jobs that are waiting or being processed."""
        return self.filter(error="")

    def due(self) -> DiarizationJobQuerySet:
        """Jobs that a worker can start now."""
        waiting = self.under_way().filter(lease__isnull=True)
        return waiting.exclude(lease_until__gt=Now())

    def with_expired_lease(self) -> DiarizationJobQuerySet:
        """Jobs whose worker has died or hangs."""
        return self.filter(lease__isnull=False).exclude(lease_until__range=live_lease_ends())


class DiarizationJob(models.Model):
    """A request for the speakers of a completed recording. The row is deleted when they are stored
    or the job is cancelled. After a failure it stays until the next request."""

    transcription = models.OneToOneField(
        Transcription, models.CASCADE, primary_key=True, related_name="diarization_job"
    )
    created_at = models.DateTimeField(default=timezone.now)
    min_speakers = models.PositiveSmallIntegerField(null=True)  # null: any number
    max_speakers = models.PositiveSmallIntegerField(null=True)
    # Waiting jobs take turns in this order: see processing/diarization_jobs.py.
    virtual_start = models.FloatField(default=0.0)
    lease = models.UUIDField(null=True)  # null: no worker has it
    worker = models.CharField(max_length=255, blank=True)  # Celery's name of it
    # With a worker: when its lease expires. Without: when it may start; null: immediately.
    lease_until = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)  # that failed or lost their worker
    # Usage of the diarizer that is not in the ledger yet: of the CPU, or of a GPU that is paid by
    # the second.
    decode_seconds = models.FloatField(default=0.0)
    gpu = models.CharField(max_length=20, blank=True, default="")
    error = models.TextField(blank=True)  # why it failed, for the owner

    objects = DiarizationJobQuerySet.as_manager()

    def __str__(self) -> str:
        return str(self.transcription_id)

    @property
    def state(self) -> Literal["waiting", "running", "failed"]:
        """The state of the job."""
        if self.error:
            return "failed"
        return "running" if self.lease else "waiting"


def is_detecting_speakers() -> Exists:
    """Whether the speakers of a completed recording are being detected: for queries of
    recordings."""
    jobs = DiarizationJob.objects.under_way()
    return Exists(jobs.filter(transcription=OuterRef("pk")))


def detection_of(row: Transcription) -> DiarizationJob | None:
    """The job of a recording, if it is under way or has failed."""
    return DiarizationJob.objects.filter(transcription=row).first()
