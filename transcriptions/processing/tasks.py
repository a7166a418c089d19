"""Celery tasks of the pipeline. They take only ids, and may run more than once."""

from __future__ import annotations

import uuid
from typing import Any

from celery import shared_task
from celery.signals import worker_shutting_down
from django.utils import timezone

from transcriptions import queue
from transcriptions.models import State, Transcription, lease_end
from transcriptions.processing import pipeline
from transcriptions.processing.leases import shutting_down


@shared_task(name="transcriptions.tasks.preprocess")
def preprocess(transcription_id: str) -> None:
    """The step that runs on the CPU."""
    if pipeline.preprocess(uuid.UUID(transcription_id)):
        queue.enqueue(transcribe, transcription_id)


@shared_task(name="transcriptions.tasks.transcribe")
def transcribe(transcription_id: str) -> None:
    """The step that runs on the engine."""
    pipeline.transcribe(uuid.UUID(transcription_id))


@shared_task(name="transcriptions.tasks.requeue_stalled")
def requeue_stalled() -> None:
    """Enqueue every row again whose lease has expired."""
    for row in Transcription.objects.with_expired_lease().only("id", "state"):
        needs_audio = row.state in (State.QUEUED, State.PREPROCESSING)
        queue.enqueue(preprocess if needs_audio else transcribe, row.id)
    # Waiting rows are due again only after LEASE_SECONDS. Rows of dead workers keep their expired
    # lease: without it they could not be claimed.
    waiting = (State.QUEUED, State.PREPARED)
    Transcription.objects.filter(state__in=waiting, lease_until__lt=timezone.now()).update(
        lease_until=lease_end()
    )


@worker_shutting_down.connect
def _release_work(**_: Any) -> None:
    shutting_down.set()
