"""Celery tasks that send emails."""

from __future__ import annotations

import uuid
from functools import partial

from celery import shared_task

from transcriptions.notifications import emails

# A mail server may be down for hours; its errors are OSErrors. Twenty retries take about four
# hours. Celery randomizes each delay, so that emails are not all retried at the same time.
retried_task = partial(
    shared_task, autoretry_for=(OSError,), retry_backoff=30, retry_backoff_max=1800, max_retries=20
)


@retried_task(name="transcriptions.tasks.send_transcript_ready")
def send_transcript_ready(transcription_id: str) -> None:
    """See `emails.send_transcript_ready`."""
    emails.send_transcript_ready(uuid.UUID(transcription_id))


@retried_task(name="transcriptions.tasks.send_quota_notice")
def send_quota_notice(user_id: str) -> None:
    """See `emails.send_quota_notice`."""
    emails.send_quota_notice(int(user_id))
