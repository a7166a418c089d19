"""Celery tasks that send e-mails."""

from __future__ import annotations

import uuid
from functools import partial

from celery import shared_task

from transcriptions.notifications import emails

# A mail server may be down for hours; the errors are OSErrors. Celery randomizes each delay, so
# that not all e-mails are retried together: twenty retries take about four hours.
retried_task = partial(
    shared_task, autoretry_for=(OSError,), retry_backoff=30, retry_backoff_max=1800, max_retries=20
)


@retried_task(name="transcriptions.tasks.send_transcript_ready")
def send_transcript_ready(id: str) -> None:
    """The e-mail about a transcript."""
    emails.send_transcript_ready(uuid.UUID(id))


@retried_task(name="transcriptions.tasks.send_quota_notice")
def send_quota_notice(user_id: str) -> None:
    """The e-mail about a quota."""
    emails.send_quota_notice(int(user_id))
