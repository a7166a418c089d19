"""What changes with each segment of a recording."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import models
from django.db.models import F
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from transcriptions.models.transcription import Transcription


def lease_end() -> CombinedExpression:
    """When a lease that is taken or renewed now expires, by the clock of the database: those of the
    workers may differ."""
    return Now() + timedelta(seconds=settings.LEASE_SECONDS)


class Progress(models.Model):
    """The lease and the unbilled usage of one recording: a database trigger adds the row.

    It is updated with each segment. PostgreSQL writes the new version into the same page (HOT),
    because the row is narrow, the table has a fill factor, and no index contains these columns.
    """

    transcription = models.OneToOneField(Transcription, models.CASCADE, primary_key=True)
    # With a worker: when its lease expires. Without: when it may start; null: immediately.
    lease_until = models.DateTimeField(null=True)
    # Usage of engines not yet in the ledger: see `take_unbilled_usage`.
    unbilled_decode_seconds = models.FloatField(db_default=0)
    unbilled_gpu = models.CharField(max_length=20, blank=True, db_default="")
    unbilled_queue_seconds = models.FloatField(db_default=0)
    unbilled_load_seconds = models.FloatField(db_default=0)
    # How often speakers of stored words have changed: watchers who know of fewer changes get the
    # rest.
    speaker_changes = models.PositiveIntegerField(db_default=0)

    class Meta:
        verbose_name_plural = _("progress")

    def __str__(self) -> str:
        return str(self.transcription_id)


def count_speaker_change(row: Transcription) -> int:
    """Call this in the transaction of the change. Return the number of changes so far."""
    progress = Progress.objects.filter(transcription=row)
    progress.update(speaker_changes=F("speaker_changes") + 1)
    return progress.values_list("speaker_changes", flat=True).get()
