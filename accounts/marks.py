"""What people have been told about their quota, so that they are told once."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.db import models

from accounts import ledger

if TYPE_CHECKING:
    from accounts.models import User

MARKS = (80, 100)  # percent of the month's minutes


class QuotaNotice(models.Model):
    """A mark that somebody was told of in a month."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="quota_notices")
    month = models.DateField()  # its first day
    mark = models.PositiveSmallIntegerField()

    objects: ClassVar[models.Manager[QuotaNotice]] = models.Manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "month", "mark"], name="told_once"),
        ]

    def __str__(self) -> str:
        return f"{self.mark} % in {self.month:%B %Y}"


def news(user: User, now: datetime) -> int | None:
    """The highest mark that was reached and not told yet; None if there is none. From now on it
    counts as told, with those below it, by whoever else asks at the same moment too."""
    minutes = user.terms.monthly_minutes
    if not minutes:
        return None
    month, used = ledger.month_of(now)[0], ledger.billed_ms(user.pk, now)
    reached = [mark for mark in MARKS if used * 100 >= mark * minutes * 60_000]
    return max((mark for mark in reached if _is_new(user, month, mark)), default=None)


def _is_new(user: User, month: date, mark: int) -> bool:
    return QuotaNotice.objects.get_or_create(user=user, month=month, mark=mark)[1]
