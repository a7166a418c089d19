"""Celery's shells around the pipeline: they take ids, nothing else, and may run many times."""

from __future__ import annotations

import logging
import uuid
from typing import Any

from celery import Task, shared_task
from celery.signals import worker_shutting_down
from django.utils import timezone
from kombu.exceptions import OperationalError

from transcriptions import pipeline
from transcriptions.claims import shutting_down
from transcriptions.models import KEY_LIFE, IdempotencyKey, State, Transcription, lease_end

log = logging.getLogger(__name__)


@shared_task
def preprocess(id: str) -> None:
    """The CPU's half."""
    if pipeline.preprocess(uuid.UUID(id)):
        ring(transcribe, uuid.UUID(id))


@shared_task
def transcribe(id: str) -> None:
    """The engine's half."""
    pipeline.transcribe(uuid.UUID(id))


@shared_task
def sweep() -> None:
    """Rings again for every row that nobody works on."""
    for row in Transcription.objects.forgotten().only("id", "state"):
        early = row.state in (State.QUEUED, State.PREPROCESSING)
        ring(preprocess if early else transcribe, row.id)
    # Rows that wait get their next ring later; those whose worker died stay free to be claimed.
    waiting = (State.QUEUED, State.PREPARED)
    Transcription.objects.filter(state__in=waiting, lease_until__lt=timezone.now()).update(
        lease_until=lease_end()
    )


@shared_task
def forget_old_keys() -> None:
    """Idempotency keys count for a day."""
    IdempotencyKey.objects.filter(created_at__lt=timezone.now() - KEY_LIFE).delete()


def ring(task: Task[Any, None], id: uuid.UUID) -> None:
    """Asks the workers to look at a row. If the queue is away the sweeper will ring instead."""
    try:
        task.apply_async((str(id),), retry=False)
    except OperationalError as error:
        log.warning("%s: the queue is away: %s", id, error)


@worker_shutting_down.connect
def _hand_back(**_: Any) -> None:
    shutting_down.set()
