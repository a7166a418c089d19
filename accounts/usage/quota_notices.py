"""Quota notices: each threshold of a month is sent once."""

from __future__ import annotations

from datetime import date, datetime

from accounts.models import QuotaNotice, User
from accounts.usage import ledger

THRESHOLDS_PERCENT = (80, 100)  # of the month's minutes


def next_unsent_threshold(user: User, now: datetime) -> int | None:
    """The highest threshold that was reached and not sent yet, or None. It is marked as sent,
    with those below it, in the caller's transaction: only one of two simultaneous callers gets
    it."""
    minutes = user.effective_plan.monthly_minutes
    if not minutes:
        return None
    month, used = ledger.month_of(now)[0], ledger.billed_ms(user.pk, now)
    reached = [t for t in THRESHOLDS_PERCENT if used * 100 >= t * minutes * 60_000]
    return max((t for t in reached if _mark_sent(user, month, t)), default=None)


def _mark_sent(user: User, month: date, threshold: int) -> bool:
    """Whether it had not been sent before."""
    return QuotaNotice.objects.get_or_create(user=user, month=month, mark=threshold)[1]
