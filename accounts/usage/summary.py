"""Usage of an account in the current month."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated

from django.db.models import Count, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone
from ninja import Field, Schema

from accounts.models import User
from accounts.usage import ledger, storage

RECORDINGS = Count("transcription", distinct=True)
Seconds = Annotated[float, Field(description="Exact to the millisecond")]


class DayOut(Schema):
    """One day (UTC) with usage."""

    date: date
    audio_seconds: Seconds
    jobs: int = Field(description="Recordings with at least one attempt")


class UsageOut(Schema):
    """Usage in this calendar month (UTC)."""

    plan: str
    period_start: date
    resets_on: date
    audio_seconds: Seconds
    jobs: int = Field(description="Recordings with at least one attempt")
    quota_seconds: float | None = Field(description="null: unlimited")
    remaining_seconds: Seconds | None
    stored_bytes: int = Field(description="Size of all uploads that are kept")
    storage_quota_bytes: int | None = Field(description="null: unlimited")
    days: list[DayOut]

    @property
    def share(self) -> float:
        """The used share of the quota, from 0 to 1; 0 without a quota."""
        return min(1.0, self.audio_seconds / self.quota_seconds) if self.quota_seconds else 0.0

    @property
    def stored_megabytes(self) -> int:
        """Rounded up."""
        return -(-self.stored_bytes // storage.BYTES_PER_MB)

    @property
    def busiest(self) -> float:
        """Seconds of audio on the busiest day."""
        return max((day.audio_seconds for day in self.days), default=0.0)


def usage_this_month(user: User) -> UsageOut:
    """The usage of `user` in the current month.

    Refunds for earlier months are subtracted from it, but usage is never negative.
    """
    now = timezone.now()
    first, following = ledger.month_bounds(now)
    plan, used_ms = user.effective_plan, max(0, ledger.billed_ms(user.pk, now))
    quota_ms = None if plan.monthly_minutes is None else plan.monthly_minutes * 60_000
    return UsageOut(
        plan=plan.name,
        period_start=first,
        resets_on=following,
        audio_seconds=used_ms / 1000,
        jobs=ledger.attempts_of_month(user.pk, now).aggregate(n=RECORDINGS)["n"],
        quota_seconds=None if quota_ms is None else quota_ms / 1000,
        remaining_seconds=None if quota_ms is None else max(0, quota_ms - used_ms) / 1000,
        stored_bytes=storage.stored_bytes(user),
        storage_quota_bytes=storage.max_stored_bytes(plan),
        days=_days(user, now),
    )


def _days(user: User, now: datetime) -> list[DayOut]:
    sums = ledger.days_of_month(user.pk, now).order_by("day").values_list("day")
    rows = ledger.attempts_of_month(user.pk, now).values_list(TruncDate("created_at", tzinfo=UTC))
    recordings = dict(rows.order_by().annotate(RECORDINGS))
    return [
        DayOut(date=day, audio_seconds=max(0, ms) / 1000, jobs=recordings.get(day, 0))
        for day, ms in sums.annotate(Sum("billed_ms"))
    ]
