"""Quota notices: an email for each threshold of a month's quota, sent once."""

from __future__ import annotations

from datetime import date, datetime

from accounts.models import QuotaNotice, User
from accounts.usage import ledger

THRESHOLDS_PERCENT = (80, 100)  # of the minutes of a month


def next_unsent_threshold(user: User, now: datetime) -> int | None:
    """Claim the highest threshold that was reached and not yet notified; None if there is none.

    Mark it and those below it as sent, in the caller's transaction. Of concurrent callers only one
    gets the threshold.
    """
    minutes = user.effective_plan.monthly_minutes
    if not minutes:
        return None
    month, used_ms = ledger.month_bounds(now)[0], ledger.billed_ms(user.pk, now)
    reached = [t for t in THRESHOLDS_PERCENT if used_ms * 100 >= t * minutes * 60_000]
    return max((t for t in reached if _mark_sent(user, month, t)), default=None)


def _mark_sent(user: User, month: date, threshold: int) -> bool:
    """Return whether the notice was not sent before."""
    return QuotaNotice.objects.get_or_create(user=user, month=month, threshold=threshold)[1]
