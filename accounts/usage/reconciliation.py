"""The ledger beside the bill of whoever rents out the GPUs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.db.models import Sum
from django.utils.module_loading import import_string

from accounts.models import UsageDay

ENGINE = "modal"  # whose seconds are paid for


@dataclass(frozen=True, slots=True)
class Compared:
    """One day, in USD: recordings pay for the seconds that they used, and the bill holds starts and
    idle time of the machines as well."""

    name: str
    ledger: Decimal
    billed: Decimal

    @property
    def difference(self) -> Decimal:
        """Billed, and explained by no recording."""
        return self.billed - self.ledger

    @property
    def percent(self) -> float | None:
        """How much of the bill recordings explain."""
        return round(float(100 * self.ledger / self.billed), 1) if self.billed else None


def is_needed(since: date, until: date) -> bool:
    """Whether the ledger has seconds in it that somebody sends a bill for."""
    return UsageDay.objects.filter(day__range=(since, until), engine=ENGINE).exists()


def compare(since: date, until: date) -> list[Compared]:
    """Day by day, the last line their sum; only days that are over are billed.

    Raises OSError, which says what to do, if the bill cannot be read.
    """
    until = min(until, datetime.now(UTC).date() - timedelta(days=1))
    read: Callable[[date, date], dict[date, Decimal]] = import_string(settings.BILL_BY_DAY)
    billed = read(since, until) if since <= until else {}
    days = UsageDay.objects.filter(day__range=(since, until), engine=ENGINE)
    sums = days.order_by("day").values_list("day").annotate(Sum("cost_micro_usd"))
    ledger = {day: Decimal(micro) / 1_000_000 for day, micro in sums}
    zero = Decimal(0)
    lines = [
        Compared(str(day), ledger.get(day, zero), billed.get(day, zero))
        for day in sorted({*ledger, *billed})
    ]
    total = Compared("Total", sum(ledger.values(), zero), sum(billed.values(), zero))
    return [*lines, total]
