"""Periodic tasks: see CELERY_BEAT_SCHEDULE."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from celery.signals import worker_ready
from django.utils import timezone

from accounts import account_deletion, audit_log, invitations
from transcriptions.models import IDEMPOTENCY_KEY_LIFETIME, IdempotencyKey
from transcriptions.operations import orphaned_files
from transcriptions.privacy import retention
from transcriptions.uploads import direct


@shared_task(name="transcriptions.tasks.delete_expired_idempotency_keys")
def delete_expired_idempotency_keys() -> None:
    """Delete expired idempotency keys."""
    oldest = timezone.now() - IDEMPOTENCY_KEY_LIFETIME
    IdempotencyKey.objects.filter(created_at__lt=oldest).delete()


@shared_task(name="transcriptions.tasks.delete_expired_sessions")
def delete_expired_sessions() -> None:
    """See `account_deletion.delete_expired_sessions`."""
    account_deletion.delete_expired_sessions()


@shared_task(name="transcriptions.tasks.delete_expired_audit_events")
def delete_expired_audit_events() -> None:
    """See `audit_log.delete_expired`."""
    audit_log.delete_expired()


@shared_task(name="transcriptions.tasks.delete_old_invitations")
def delete_old_invitations() -> None:
    """See `invitations.delete_old`."""
    invitations.delete_old()


@shared_task(name="transcriptions.tasks.delete_expired_recordings")
def delete_expired_recordings() -> None:
    """See `retention.delete_expired`."""
    retention.delete_expired()


@shared_task(name="transcriptions.tasks.abort_expired_uploads")
def abort_expired_uploads() -> None:
    """See `direct.abort_expired`."""
    direct.abort_expired()


@worker_ready.connect
def _delete_temporary_files(**_: Any) -> None:
    """Delete temporary files of this machine, on which the periodic task may never run."""
    orphaned_files.delete_temporary_files()


@shared_task(name="transcriptions.tasks.delete_orphaned_files")
def delete_orphaned_files() -> None:
    """See `orphaned_files.delete_orphaned_files`."""
    orphaned_files.delete_orphaned_files()
