"""Deletion of recordings whose retention period has ended."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from django.db import transaction
from django.db.models import (
    Case,
    DateTimeField,
    DurationField,
    ExpressionWrapper,
    F,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Least
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.audit_log import record_event
from accounts.models import Action, Plan
from transcriptions.models import FINISHED, Transcription
from transcriptions.processing.commands import delete_audio
from transcriptions.usage.retention import FOREVER_DAYS


def delete_expired() -> None:
    """Delete expired recordings and audio, except those that are still being processed."""
    for row in list(_older_than(_finished(), "keep_days")):
        _delete(row, "keep_days", Transcription.delete, _("Retention period ended"))
    for row in list(_older_than(_finished().exclude(source=""), "keep_audio_days")):
        _delete(row, "keep_audio_days", delete_audio, _("Audio only: retention period ended"))


def _finished() -> QuerySet[Transcription]:
    return with_retention(Transcription.objects.filter(state__in=FINISHED))


def with_retention(rows: QuerySet[Transcription]) -> QuerySet[Transcription]:
    """The rows with the RetentionPolicy of their owners, as `keep_days` and `keep_audio_days`."""
    default = Plan.objects.filter(is_default=True).values("max_keep_days")[:1]
    of_plan = Case(
        When(owner__plan=None, then=Subquery(default)), default="owner__plan__max_keep_days"
    )
    # Postgres ignores null in LEAST.
    return rows.annotate(
        plan_days=of_plan,
        keep_days=Least(_unless_forever("owner__keep_days"), _unless_forever("plan_days")),
        keep_audio_days=Least(_unless_forever("owner__keep_audio_days"), "keep_days"),
    )


def _unless_forever(days: str) -> Case:
    return Case(When(**{f"{days}__lt": FOREVER_DAYS, "then": days}))


def _older_than(rows: QuerySet[Transcription], days: str) -> QuerySet[Transcription]:
    """Rows that were created longer ago than their number of `days`; none if that is null."""
    period = ExpressionWrapper(F(days) * timedelta(days=1), output_field=DurationField())
    oldest = ExpressionWrapper(Value(timezone.now()) - period, output_field=DateTimeField())
    return rows.filter(created_at__lt=oldest).only("id", "owner_id")


def _delete(
    row: Transcription, days: str, deletion: Callable[[Transcription], object], detail: str
) -> None:
    """Delete and log in one transaction, unless the recording was resumed in the meantime, or is to
    be kept longer."""
    with transaction.atomic():
        # Locked, and read again: its files may have changed as well.
        locked = Transcription.objects.select_for_update().filter(id=row.id).first()
        if locked is None or not _older_than(_finished().filter(id=row.id), days).exists():
            return
        deletion(locked)
        record_event(None, Action.DELETED, detail, row.owner_id, row.id)
