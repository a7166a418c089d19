"""The ledger: what each attempt used and cost. Rows are only ever added; the database sees to it.

Money is whole micro-dollars and time whole milliseconds, so that sums are exact. A correction is
another row, with amounts that may be negative. Beside it a table by day, written in the same
transaction, answers all questions about many rows.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import ClassVar

from django.conf import settings
from django.db import models, transaction
from django.db.models import F, QuerySet, Sum
from django.utils import timezone

NANO_PER_MICRO, MS_PER_SECOND = 1000, 1000


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

    def write(self) -> UsageRecord:
        """Adds it to the ledger and to its day, both or neither."""
        write([self])
        return self

    def correct(self, reason: str) -> UsageRecord:
        """Takes its charge back: a row with its audio, negative. What the engine used for it stays
        used, and stays paid. `reason` is for the owner.

        Raises IntegrityError if that was done already.
        """
        return UsageRecord(
            user_id=self.user_id,
            token_id=self.token_id,
            transcription=self.transcription,
            outcome=Outcome.CORRECTION,
            engine=self.engine,
            model=self.model,
            gpu_type=self.gpu_type,
            audio_ms=-self.audio_ms,
            billed=self.billed,
            reason=reason,
            corrects=self,
        ).write()


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


@transaction.atomic
def write(records: Sequence[UsageRecord]) -> None:
    """Adds them to the ledger and to their days, all or none."""
    for record in records:
        record.cost_micro_usd = cost_micro_usd(record.decode_ms, record.nano_usd_per_second)
    UsageRecord.objects.bulk_create(records, batch_size=1000)
    sums: dict[tuple[date, int, int, str], Counter[str]] = defaultdict(Counter)
    for record in records:
        day = record.created_at.astimezone(UTC).date()
        sums[day, record.user_id, record.token_id or 0, record.engine].update(_amounts(record))
    # In one order, so that two who write at the same time never wait for each other.
    for (day, user_id, token_key, engine), amounts in sorted(sums.items(), key=lambda s: s[0]):
        row, _ = UsageDay.objects.get_or_create(
            day=day, user_id=user_id, token_key=token_key, engine=engine
        )
        more = {name: F(name) + amount for name, amount in amounts.items()}
        UsageDay.objects.filter(pk=row.pk).update(**more)


def _amounts(record: UsageRecord) -> dict[str, int]:
    """What it adds to its day."""
    return {
        "attempts": int(record.outcome not in (Outcome.CORRECTION, Outcome.INTERRUPTED)),
        "failures": int(record.outcome == Outcome.FAILED),
        "billed_ms": record.audio_ms if record.billed else 0,
        "decode_ms": record.decode_ms,
        "cold_starts": int(record.load_ms > 0),
        "cost_micro_usd": record.cost_micro_usd,
    }


def cost_micro_usd(decode_ms: int, nano_usd_per_second: int) -> int:
    """Whole micro-dollars, halves rounded up."""
    divisor = MS_PER_SECOND * NANO_PER_MICRO
    return (2 * decode_ms * nano_usd_per_second + divisor) // (2 * divisor)


def month_of(moment: datetime) -> tuple[date, date]:
    """The first days of its calendar month and of the next, in UTC."""
    first = moment.astimezone(UTC).date().replace(day=1)
    following = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    return first, following


def days_of_month(user_id: int, moment: datetime) -> QuerySet[UsageDay]:
    """The days of that month on which the user used something."""
    first, following = month_of(moment)
    return UsageDay.objects.filter(user_id=user_id, day__gte=first, day__lt=following)


def records_of_month(user_id: int, moment: datetime) -> QuerySet[UsageRecord]:
    """What was written of the user in that month, newest first."""
    first, following = (datetime.combine(day, time(), UTC) for day in month_of(moment))
    return UsageRecord.objects.filter(
        user_id=user_id, created_at__gte=first, created_at__lt=following
    )


def recordings_of_month(user_id: int, moment: datetime) -> QuerySet[UsageRecord]:
    """What was written in that month about work on the user's recordings."""
    return records_of_month(user_id, moment).exclude(outcome=Outcome.CORRECTION)


def billed_ms(user_id: int, moment: datetime, token_id: int | None = None) -> int:
    """What counts against the quota of that month: of the user, or of one token. Below zero while
    more was given back, for earlier months, than was used since."""
    days = days_of_month(user_id, moment)
    if token_id is not None:
        days = days.filter(token_key=token_id)
    return int(days.aggregate(sum=Sum("billed_ms"))["sum"] or 0)
