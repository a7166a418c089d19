"""Celery tasks of the pipeline. They take ids, nothing else, and may run more than once."""

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
def preprocess(id: str) -> None:
    """The part that runs on the CPU."""
    if pipeline.preprocess(uuid.UUID(id)):
        queue.enqueue(transcribe, uuid.UUID(id))


@shared_task(name="transcriptions.tasks.transcribe")
def transcribe(id: str) -> None:
    """The part that runs on the engine."""
    pipeline.transcribe(uuid.UUID(id))


@shared_task(name="transcriptions.tasks.requeue_stalled")
def requeue_stalled() -> None:
    """Enqueues every row again whose lease has expired."""
    for row in Transcription.objects.with_expired_lease().only("id", "state"):
        waits_for_audio = row.state in (State.QUEUED, State.PREPROCESSING)
        queue.enqueue(preprocess if waits_for_audio else transcribe, row.id)
    # Rows that wait are enqueued again later; those whose worker died can be claimed right away.
    waiting = (State.QUEUED, State.PREPARED)
    Transcription.objects.filter(state__in=waiting, lease_until__lt=timezone.now()).update(
        lease_until=lease_end()
    )


@worker_shutting_down.connect
def _stop_working(**_: Any) -> None:
    shutting_down.set()
