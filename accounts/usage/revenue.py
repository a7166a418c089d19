"""What accounts pay in a period, as far as it is known.

Transcodio knows the price of each account's plan today, not what was paid: it collects no payments
and keeps no history of plans. So an active account pays today's price for every day of the period
on which it existed, a day being its share of the calendar month (UTC), and days to come are not
counted. Refunds are of minutes, not of money, and change nothing here.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from typing import Any

from django.db.models import Count, F, Q, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from accounts.models import Plan, User

MICRO_USD_PER_CENT = 10_000


@dataclass(frozen=True, slots=True)
class Payer:
    """An account with a price, and what it pays in the period."""

    user_id: int
    email: str
    revenue_micro_usd: int


def payers(since: date, until: date, **filters: Any) -> list[Payer]:
    """The accounts that match `filters` and pay in the period, by email address."""
    until = min(until, timezone.now().date())
    default = Plan.objects.filter(is_default=True).values_list("price_cents", flat=True).first()
    end = datetime.combine(until + timedelta(days=1), time(), UTC)
    users = User.objects.filter(is_active=True, date_joined__lt=end, **filters)
    priced = users.annotate(price=Coalesce(F("plan__price_cents"), Value(default or 0)))
    rows = priced.filter(price__gt=0).order_by("email")
    months: dict[date, Fraction] = {}
    found = []
    for pk, email, joined, cents in rows.values_list("pk", "email", "date_joined", "price"):
        first = max(since, joined.astimezone(UTC).date())
        if first not in months:
            months[first] = months_between(first, until)
        found.append(Payer(pk, email, round(months[first] * cents * MICRO_USD_PER_CENT)))
    return found


def months_between(first: date, last: date) -> Fraction:
    """Calendar months from `first` to `last`, both included: each day counts as its share of its
    month, so that a whole month is 1."""
    return sum((Fraction(days, length) for days, length in _parts(first, last)), Fraction())


def _parts(first: date, last: date) -> Iterator[tuple[int, int]]:
    """For each month that the period touches: its days in the period, and its length."""
    while first <= last:
        length = monthrange(first.year, first.month)[1]
        end = min(last, first.replace(day=length))
        yield (end - first).days + 1, length
        first = end + timedelta(days=1)


def monthly_by_plan() -> list[dict[str, Any]]:
    """Monthly revenue of each plan, from the active accounts that have it now."""
    active = Count("users", filter=Q(users__is_active=True))
    plans = Plan.objects.annotate(accounts=active).order_by("price_cents", "name")
    without_plan = User.objects.filter(plan=None, is_active=True).count()
    return [
        {
            "plan": plan.name,
            "accounts": (accounts := plan.accounts + (without_plan if plan.is_default else 0)),
            "usd": accounts * plan.price_cents / 100,
        }
        for plan in plans
    ]
