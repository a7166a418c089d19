"""Comparison of the ledger with the bill of the GPU provider."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.db.models import Sum
from django.utils.module_loading import import_string
from django.utils.translation import gettext

from accounts.models import UsageDay

BILLED_ENGINE = "modal"


@dataclass(frozen=True, slots=True)
class Comparison:
    """One day, in USD. The ledger has the seconds that jobs used; the bill also has startup and
    idle time of containers."""

    name: str
    ledger: Decimal
    billed: Decimal

    @property
    def difference(self) -> Decimal:
        """The part of the bill that no job explains."""
        return self.billed - self.ledger

    @property
    def percent(self) -> float | None:
        """The ledger as a percentage of the bill."""
        return round(float(100 * self.ledger / self.billed), 1) if self.billed else None


def is_billable(since: date, until: date) -> bool:
    """Whether the ledger has usage in these days that a provider bills."""
    return UsageDay.objects.filter(day__range=(since, until), engine=BILLED_ENGINE).exists()


def compare(since: date, until: date) -> list[Comparison]:
    """Compare day by day, with a total as the last item. Today is left out: only past days have
    been billed completely.

    Raises OSError, whose message says what to do, if the bill cannot be read.
    """
    until = min(until, datetime.now(UTC).date() - timedelta(days=1))
    read_bill: Callable[[date, date], dict[date, Decimal]] = import_string(settings.BILL_BY_DAY)
    billed = read_bill(since, until) if since <= until else {}
    days = UsageDay.objects.filter(day__range=(since, until), engine=BILLED_ENGINE)
    sums = days.order_by("day").values_list("day").annotate(Sum("cost_micro_usd"))
    ledger = {day: Decimal(micro_usd) / 1_000_000 for day, micro_usd in sums}
    zero = Decimal(0)
    comparisons = [
        Comparison(str(day), ledger.get(day, zero), billed.get(day, zero))
        for day in sorted({*ledger, *billed})
    ]
    totals = sum(ledger.values(), zero), sum(billed.values(), zero)
    return [*comparisons, Comparison(gettext("Total"), *totals)]
