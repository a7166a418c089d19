"""The usage ledger, and its sums by day.

Money is whole micro-dollars and time whole milliseconds, so that sums are exact. Rows are only
added: the database refuses anything else. A correction is another row, whose amounts may be
negative.
"""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

MS_PER_SECOND = 1000


class Outcome(models.TextChoices):
    """How an attempt ended."""

    COMPLETED = "completed", "Completed"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"
    INTERRUPTED = "interrupted", "Interrupted"  # no job of its own: another row ends it
    CORRECTION = "correction", "Correction"


class UsageRecord(models.Model):
    """One attempt. It outlives the recording, the token and the account that it speaks of."""

    created_at = models.DateTimeField(default=timezone.now, db_index=True)
    # No constraints in the database: what is referred to may go, and this row must not change.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, db_constraint=False, related_name="usage"
    )
    token = models.ForeignKey(
        "accounts.ApiToken", models.DO_NOTHING, db_constraint=False, null=True, related_name="usage"
    )
    transcription = models.UUIDField(db_index=True)
    outcome = models.CharField(max_length=12, choices=Outcome)
    engine = models.CharField(max_length=20, blank=True)
    model = models.CharField(max_length=100, blank=True)
    gpu_type = models.CharField(max_length=20, blank=True)

    audio_ms = models.BigIntegerField(default=0)  # of the recording, as far as it is charged
    decode_ms = models.BigIntegerField(default=0)  # its share of the engine's time
    queue_ms = models.BigIntegerField(default=0)
    load_ms = models.BigIntegerField(default=0)  # the start of a container that was cold
    nano_usd_per_second = models.BigIntegerField(default=0)  # the price at that time
    cost_micro_usd = models.BigIntegerField(default=0)
    billed = models.BooleanField(default=False)  # whether `audio_ms` counts against the quota
    reason = models.CharField(max_length=200)  # why, or why not
    corrects = models.ForeignKey("self", models.DO_NOTHING, null=True, related_name="corrections")

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        indexes: ClassVar = [models.Index(fields=["user", "-created_at"], name="usage_of_user")]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["corrects"], name="corrected_once"),
        ]

    def __str__(self) -> str:
        return f"{self.outcome} {self.audio_ms} ms, {self.cost_micro_usd} µUSD"

    @property
    def audio_seconds(self) -> float:
        """Of the recording, as far as it is charged."""
        return self.audio_ms / MS_PER_SECOND

    @property
    def decode_seconds(self) -> float:
        """Its share of the engine's time."""
        return self.decode_ms / MS_PER_SECOND

    @property
    def queue_seconds(self) -> float:
        """Waiting for a place."""
        return self.queue_ms / MS_PER_SECOND

    @property
    def load_seconds(self) -> float:
        """Waiting for a machine to start."""
        return self.load_ms / MS_PER_SECOND

    @property
    def cost_usd(self) -> float:
        """Dollars, exact to the micro-dollar."""
        return self.cost_micro_usd / 1e6


class UsageDay(models.Model):
    """The sums of one day, by user, token and engine."""

    day = models.DateField()  # UTC
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, db_constraint=False, related_name="usage_days"
    )
    token_key = models.BigIntegerField(default=0)  # the token's id; 0: by the pages
    engine = models.CharField(max_length=20, blank=True)

    attempts = models.BigIntegerField(default=0)  # at recordings: one may take several
    failures = models.BigIntegerField(default=0)
    billed_ms = models.BigIntegerField(default=0)
    decode_ms = models.BigIntegerField(default=0)
    cold_starts = models.BigIntegerField(default=0)
    cost_micro_usd = models.BigIntegerField(default=0)

    class Meta:
        verbose_name = "usage and cost review"
        verbose_name_plural = "usage and cost review"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["user", "day", "token_key", "engine"], name="usage_of_a_day"
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["day"], name="usage_day")]

    def __str__(self) -> str:
        return f"{self.day}: {self.attempts} attempts, {self.billed_ms} ms"
