"""Deletion of recordings whose retention period has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.audit_log import record_event
from accounts.models import Action, Plan, User
from transcriptions.models import FINISHED, Transcription
from transcriptions.processing.lifecycle import delete_audio
from transcriptions.usage.retention import RetentionPolicy


def delete_expired() -> None:
    """Delete expired recordings and audio, except those that are still being processed."""
    now = timezone.now()
    for user in _users_with_retention():
        policy = RetentionPolicy.of(user)
        rows = Transcription.objects.filter(owner=user, state__in=FINISHED).defer("search")
        if policy.everything is not None:
            for row in rows.filter(created_at__lt=now - timedelta(days=policy.everything)):
                _delete(row, Transcription.delete, _("Retention period ended"))
        if policy.audio is not None:
            old = rows.filter(created_at__lt=now - timedelta(days=policy.audio))
            for row in old.exclude(source=""):
                _delete(row, delete_audio, _("Audio only: retention period ended"))


def _delete(row: Transcription, deletion: Callable[[Transcription], object], detail: str) -> None:
    """Delete and log in one transaction, unless the recording was resumed in the meantime."""
    finished = Transcription.objects.filter(id=row.id, state__in=FINISHED).defer("search")
    with transaction.atomic():
        # Locked, and read again: its files may have changed as well.
        locked = finished.select_for_update().first()
        if locked is None:
            return
        deletion(locked)
        record_event(None, Action.DELETED, detail, row.owner_id, row.id)


def _users_with_retention() -> Iterator[User]:
    """Users with a retention limit in their settings or their plan."""
    limited = Q(keep_days__isnull=False) | Q(keep_audio_days__isnull=False)
    limited |= Q(plan__max_keep_days__isnull=False)
    if Plan.objects.filter(is_default=True, max_keep_days__isnull=False).exists():
        limited |= Q(plan=None)
    return User.objects.filter(limited).select_related("plan").iterator()
