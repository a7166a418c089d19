"""Celery's shells around the pipeline: they take ids, nothing else, and may run many times."""

from __future__ import annotations

import logging
import uuid
from functools import partial
from typing import Any

from celery import Task, shared_task
from celery.signals import worker_shutting_down
from django.utils import timezone
from kombu.exceptions import OperationalError

from accounts import farewell
from transcriptions import pipeline, retention, strays
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


@shared_task
def forget_old_sessions() -> None:
    """See accounts/farewell.py."""
    farewell.forget_old_sessions()


@shared_task
def delete_what_was_kept_long_enough() -> None:
    """See retention.py."""
    retention.sweep()


@shared_task
def delete_strays() -> None:
    """See strays.py."""
    strays.sweep()


# A mail server may be away for some hours; what it raises is an OSError. Celery draws each wait by
# lot, so that not all letters come back at once: twenty of them are about four hours.
patient = partial(
    shared_task, autoretry_for=(OSError,), retry_backoff=30, retry_backoff_max=1800, max_retries=20
)


@patient()
def mail_ready(id: str) -> None:
    """The letter about a transcript."""
    from transcriptions import mails

    mails.ready(uuid.UUID(id))


@patient()
def mail_quota(user_id: str) -> None:
    """The letter about a quota."""
    from transcriptions import mails

    mails.quota(int(user_id))


def ring(task: Task[Any, None], *arguments: object) -> None:
    """Asks the workers for something. If the queue is away the sweeper will ring for rows."""
    try:
        task.apply_async(tuple(str(argument) for argument in arguments), retry=False)
    except OperationalError as error:
        log.warning("%s%s: the queue is away: %s", task.name, arguments, error)


@worker_shutting_down.connect
def _hand_back(**_: Any) -> None:
    shutting_down.set()
