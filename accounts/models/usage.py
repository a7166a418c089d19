"""The usage ledger and its daily sums.

Money is in whole micro-dollars and time in whole milliseconds, so that sums are exact. Rows of the
ledger are only added: a database trigger refuses updates and deletes. A correction is another row,
whose amounts may be negative.
"""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

MS_PER_SECOND = 1000


class Outcome(models.TextChoices):
    """How an attempt ended."""

    COMPLETED = "completed", _("Completed")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")
    INTERRUPTED = "interrupted", _("Interrupted")  # the job continues in another attempt
    CORRECTION = "correction", _("Correction")
    SPEAKERS = "speakers", _("Speaker detection")  # in a completed recording; never charged


NO_ATTEMPTS = (Outcome.CORRECTION, Outcome.INTERRUPTED, Outcome.SPEAKERS)  # that end a job


class UsageRecord(models.Model):
    """One attempt at a job. It outlives the recording, the token and the account."""

    created_at = models.DateTimeField(default=timezone.now, db_index=True)
    # No database constraints: the referenced rows may be deleted, and this row must not change.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, db_constraint=False, related_name="usage"
    )
    token = models.ForeignKey(
        "accounts.ApiToken", models.DO_NOTHING, db_constraint=False, null=True, related_name="usage"
    )
    transcription = models.UUIDField(_("recording"), db_index=True)
    outcome = models.CharField(max_length=12, choices=Outcome)
    engine = models.CharField(max_length=20, blank=True)
    model = models.CharField(max_length=100, blank=True)
    gpu_type = models.CharField(_("GPU"), max_length=20, blank=True)

    audio_ms = models.BigIntegerField(default=0)  # the charged part of the recording
    # Audio processed without a charge: without speech, or cancelled. See usage/quotas.py. Negative
    # if it has been charged since.
    uncharged_ms = models.BigIntegerField(default=0)
    decode_ms = models.BigIntegerField(default=0)  # engine time
    queue_ms = models.BigIntegerField(default=0)
    load_ms = models.BigIntegerField(default=0)  # cold start of a container
    nano_usd_per_second = models.BigIntegerField(default=0)  # the price at the time of the attempt
    cost_micro_usd = models.BigIntegerField(default=0)
    billed = models.BooleanField(_("charged"), default=False)  # `audio_ms` counts against the quota
    reason = models.CharField(max_length=200)  # why it was charged or not; shown to the user
    corrects = models.ForeignKey("self", models.DO_NOTHING, null=True, related_name="corrections")

    class Meta:
        verbose_name_plural = _("usage ledger")
        ordering: ClassVar = ["-created_at", "-id"]
        indexes: ClassVar = [models.Index(fields=["user", "-created_at"], name="usage_of_user")]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["corrects"], name="corrected_once"),
        ]

    def __str__(self) -> str:
        return f"{self.get_outcome_display()} ({self.pk})"

    @property
    def audio_seconds(self) -> float:
        """The charged part of the recording."""
        return self.audio_ms / MS_PER_SECOND

    @property
    def decode_seconds(self) -> float:
        """Engine time. Jobs that share a GPU share its time."""
        return self.decode_ms / MS_PER_SECOND

    @property
    def queue_seconds(self) -> float:
        """Time in the queue of the engine."""
        return self.queue_ms / MS_PER_SECOND

    @property
    def load_seconds(self) -> float:
        """Time of the cold start of a container."""
        return self.load_ms / MS_PER_SECOND

    @property
    def cost_usd(self) -> float:
        """US dollars, exact to the micro-dollar."""
        return self.cost_micro_usd / 1e6


class UsageDay(models.Model):
    """Sums of the ledger for one day, user, token and engine."""

    day = models.DateField()  # UTC
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, db_constraint=False, related_name="usage_days"
    )
    token_key = models.BigIntegerField(default=0)  # the id of the token; 0: web app
    engine = models.CharField(max_length=20, blank=True)

    attempts = models.BigIntegerField(default=0)  # a job may take several
    failures = models.BigIntegerField(default=0)
    billed_ms = models.BigIntegerField(default=0)
    decode_ms = models.BigIntegerField(default=0)
    cold_starts = models.BigIntegerField(default=0)
    cost_micro_usd = models.BigIntegerField(default=0)

    class Meta:
        verbose_name = _("usage and cost report")
        verbose_name_plural = _("usage and cost report")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["user", "day", "token_key", "engine"], name="usage_of_a_day"
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["day"], name="usage_day")]

    def __str__(self) -> str:
        return f"{self.day}: {self.attempts} attempts"
