"""The Celery task about quotas."""

from __future__ import annotations

from celery import shared_task

from transcriptions.notifications import emails


@shared_task(name="transcriptions.tasks.send_quota_notice")
def send_quota_notice(user_id: str) -> None:
    """See `emails.send_quota_notice`."""
    emails.send_quota_notice(int(user_id))
