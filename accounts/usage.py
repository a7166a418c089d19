"""What an account has used this month: for its owner, on the page and over REST."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated

from django.db.models import Sum
from django.http import HttpRequest
from django.utils import timezone
from ninja import Field, Router, Schema

from accounts import ledger
from accounts.authentication import PageAuth, TokenAuth, person
from accounts.models import Scope, User
from accounts.schemas import ErrorOut

router = Router(tags=["usage"], auth=[TokenAuth(Scope.USAGE), PageAuth()])

Seconds = Annotated[float, Field(description="Exact to the millisecond")]


class DayOut(Schema):
    """One day (UTC) on which something was used."""

    date: date
    audio_seconds: Seconds
    jobs: int


class UsageOut(Schema):
    """This calendar month (UTC)."""

    plan: str
    period_start: date
    renews_on: date
    audio_seconds: Seconds
    jobs: int
    quota_seconds: float | None = Field(description="null: as much as you like")
    remaining_seconds: float | None
    days: list[DayOut]

    @property
    def share(self) -> float:
        """What is used of the quota, from 0 to 1; 0 if there is none."""
        return min(1.0, self.audio_seconds / self.quota_seconds) if self.quota_seconds else 0.0

    @property
    def calendar(self) -> list[DayOut]:
        """Every day of the month up to today, also those without any use."""
        used = {day.date: day for day in self.days}
        length = (min(timezone.now().date(), self.renews_on) - self.period_start).days + 1
        dates = [self.period_start + timedelta(days=n) for n in range(length)]
        return [used.get(day) or DayOut(date=day, audio_seconds=0, jobs=0) for day in dates]

    @property
    def busiest(self) -> float:
        """Seconds of the day with the most of them."""
        return max((day.audio_seconds for day in self.days), default=0.0)


def month_of(user: User) -> UsageOut:
    """What `user` has used, this month."""
    now = timezone.now()
    first, following = ledger.month_of(now)
    rows = ledger.days_of_month(user.pk, now).values("day").order_by("day")
    days = [
        DayOut(date=row["day"], audio_seconds=row["ms"] / 1000, jobs=row["count"])
        for row in rows.annotate(ms=Sum("billed_ms"), count=Sum("jobs"))
    ]
    used = ledger.billed_ms(user.pk, now) / 1000
    plan = user.terms
    quota = None if plan.monthly_minutes is None else plan.monthly_minutes * 60.0
    return UsageOut(
        plan=plan.name,
        period_start=first,
        renews_on=following,
        audio_seconds=used,
        jobs=sum(day.jobs for day in days),
        quota_seconds=quota,
        remaining_seconds=None if quota is None else max(0.0, quota - used),
        days=days,
    )


@router.get("/usage", response={200: UsageOut, 401: ErrorOut, 403: ErrorOut, 429: ErrorOut})
def usage(request: HttpRequest) -> UsageOut:
    """What you have used this month, what is left of it, and when it renews."""
    return month_of(person(request))
