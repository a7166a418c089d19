"""Deletes recordings whose retention has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.audit_log import record_event
from accounts.models import Action, Plan, User
from transcriptions.models import FINISHED, Transcription
from transcriptions.processing.lifecycle import delete_audio
from transcriptions.usage.retention import RetentionPolicy


def delete_expired() -> None:
    """Deletes expired recordings and audio. A recording that is still processed stays."""
    now = timezone.now()
    for user in _users_with_retention():
        policy = RetentionPolicy.of(user)
        rows = Transcription.objects.filter(owner=user, state__in=FINISHED).defer("search")
        if policy.everything is not None:
            for row in rows.filter(created_at__lt=now - timedelta(days=policy.everything)):
                _delete(row, row.delete, row.title)
        if policy.audio is not None:
            old = rows.filter(created_at__lt=now - timedelta(days=policy.audio))
            for row in old.exclude(source="", audio=""):
                _delete(row, partial(delete_audio, row), f"The audio of {row.title}")


def _delete(row: Transcription, deletion: Callable[[], object], what: str) -> None:
    """Deletes and logs in one transaction, unless the recording is processed again by now."""
    with transaction.atomic():
        ended = Transcription.objects.select_for_update().filter(id=row.id, state__in=FINISHED)
        if not ended.exists():
            return
        deletion()
        record_event(None, Action.DELETED, f"{what} (retention ended)", user_id=row.owner_id)


def _users_with_retention() -> Iterator[User]:
    """Users for whom any retention limit applies."""
    wanted = Q(keep_days__isnull=False) | Q(keep_audio_days__isnull=False)
    wanted |= Q(plan__max_keep_days__isnull=False)
    if Plan.objects.filter(is_default=True, max_keep_days__isnull=False).exists():
        wanted |= Q(plan=None)
    return User.objects.filter(wanted).select_related("plan").iterator()
