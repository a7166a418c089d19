"""Celery tasks that send emails."""

from __future__ import annotations

import uuid

from accounts.tasks import email_task
from transcriptions.notifications import emails


@email_task(name="transcriptions.tasks.send_transcript_ready")
def send_transcript_ready(transcription_id: str) -> None:
    """See `emails.send_transcript_ready`."""
    emails.send_transcript_ready(uuid.UUID(transcription_id))


@email_task(name="transcriptions.tasks.send_quota_notice")
def send_quota_notice(user_id: str) -> None:
    """See `emails.send_quota_notice`."""
    emails.send_quota_notice(int(user_id))
