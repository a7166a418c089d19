"""Helpers for tests of the detection of speakers in complete recordings."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from transcriptions.models import DiarizationJob, Transcription
from transcriptions.processing import detection, diarization_jobs


def work() -> bool:
    """What a worker does with the next job. True if its speakers are stored."""
    job = diarization_jobs.claim_next("worker@test")
    return job is not None and detection.run(job)


def job_of(row: Transcription) -> DiarizationJob | None:
    return DiarizationJob.objects.filter(transcription=row).first()


def expire(row: Transcription) -> None:
    """The worker has died: its lease ends, and the periodic task runs."""
    past = timezone.now() - timedelta(seconds=1)
    DiarizationJob.objects.filter(transcription=row).update(lease_until=past)
    diarization_jobs.recover(DiarizationJob.objects.with_expired_lease())
