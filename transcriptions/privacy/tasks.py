"""Celery tasks that delete accounts."""

from __future__ import annotations

from typing import Any

from celery import shared_task

from accounts.models import AccountDeletion
from transcriptions import queue
from transcriptions.privacy.account_deletion import delete_batch

MAX_ENQUEUED = 20  # per run of the periodic task


@shared_task(name="transcriptions.tasks.delete_account")
def delete_account(user_id: str) -> None:
    """Delete one batch, then enqueue the next one: recordings that wait in the same queue go
    first."""
    if delete_batch(int(user_id)):
        queue.enqueue(delete_account, user_id)


@shared_task(name="transcriptions.tasks.resume_account_deletions")
def resume_account_deletions() -> None:
    """Enqueue deletions that no task works on: their task was lost, or its worker died."""
    waiting = AccountDeletion.without_lease().order_by("lease_until")
    for user_id in waiting.values_list("user_id", flat=True)[:MAX_ENQUEUED]:
        queue.enqueue(delete_account, user_id)


def enqueue_deletion(sender: Any, user_id: int, **_: Any) -> None:
    """Receiver of `deletion_requested`."""
    queue.enqueue(delete_account, user_id)
