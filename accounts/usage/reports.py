"""The usage and cost report: daily sums as a table, charts and CSV."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from django.db.models import F, Q, Sum
from django.http import HttpResponse
from django.template.defaultfilters import floatformat
from django.utils import timezone
from django.utils.functional import Promise, cached_property
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.models import ApiToken, UsageDay, User
from accounts.spreadsheets import safe_cell
from accounts.usage import revenue
from accounts.usage.report_form import DEFAULT_DAYS, UsageReportForm
from accounts.usage.revenue import Payer

# Engines that need a GPU. Another engine ran on one if it cost something: CPU time has no price.
GPU_ENGINES = ("modal", "kyutai")
ON_GPU = Q(engine__in=GPU_ENGINES) | Q(cost_micro_usd__gt=0)
SUMS = {
    "attempts": Sum("attempts", default=0),
    "failures": Sum("failures", default=0),
    "billed_ms": Sum("billed_ms", default=0),
    "decode_ms": Sum("decode_ms", default=0),
    "gpu_ms": Sum("decode_ms", filter=ON_GPU, default=0),
    "cold_starts": Sum("cold_starts", default=0),
    "cost_micro_usd": Sum("cost_micro_usd", default=0),
}
SCALE_MAXIMA = (1, 1.5, 2, 3, 4, 6, 8, 10)  # times a power of ten


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table: an attribute of Line, and how to show it."""

    name: str
    label: str | Promise
    decimals: int  # in CSV
    shown_decimals: int  # on the page


COLUMNS = (
    Column("attempts", _("attempts"), 0, 0),
    Column("failures", _("failures"), 0, 0),
    Column("audio_minutes", _("audio minutes"), 2, 1),
    Column("gpu_seconds", _("GPU seconds"), 2, 0),
    Column("cpu_seconds", _("CPU seconds"), 2, 0),
    Column("real_time_factor", _("real-time factor"), 4, 3),
    Column("cold_starts", _("cold starts"), 0, 0),
    Column("cost_usd", _("cost (USD)"), 6, 4),
    Column("usd_per_audio_minute", _("USD per audio minute"), 6, 6),
)
MARGIN_COLUMNS = (
    Column("revenue_usd", _("revenue (USD)"), 6, 2),
    Column("margin_usd", _("margin (USD)"), 6, 2),
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table: the sums of a group."""

    name: str
    attempts: int = 0
    failures: int = 0
    billed_ms: int = 0
    decode_ms: int = 0
    gpu_ms: int = 0
    cold_starts: int = 0
    cost_micro_usd: int = 0
    revenue_micro_usd: int | None = None  # None: unknown for such a group

    @property
    def audio_minutes(self) -> float:
        """Charged minutes of audio."""
        return self.billed_ms / 60_000

    @property
    def gpu_seconds(self) -> float:
        """Engine time on a GPU."""
        return self.gpu_ms / 1000

    @property
    def cpu_seconds(self) -> float:
        """Engine time on a CPU."""
        return (self.decode_ms - self.gpu_ms) / 1000

    @property
    def real_time_factor(self) -> float | None:
        """Engine time / audio time: lower is better."""
        return self.decode_ms / self.billed_ms if self.billed_ms > 0 else None

    @property
    def cost_usd(self) -> float:
        """US dollars, exact to the micro-dollar."""
        return self.cost_micro_usd / 1e6

    @property
    def usd_per_audio_minute(self) -> float | None:
        """Cost per charged minute of audio; None if none was charged."""
        if self.billed_ms <= 0:
            return None
        return self.cost_usd / self.audio_minutes

    @property
    def revenue_usd(self) -> float | None:
        """US dollars, see `revenue`."""
        return None if self.revenue_micro_usd is None else self.revenue_micro_usd / 1e6

    @property
    def margin_usd(self) -> float | None:
        """Revenue less the measured cost."""
        if self.revenue_micro_usd is None:
            return None
        return (self.revenue_micro_usd - self.cost_micro_usd) / 1e6


class UsageReport:
    """The report for a form; for an invalid form, the report with default values."""

    def __init__(self, form: UsageReportForm) -> None:
        data = form.cleaned_data if form.is_valid() else {}
        self.until: date = data.get("until") or timezone.now().date()
        self.since: date = data.get("since") or self.until - timedelta(days=DEFAULT_DAYS - 1)
        self.by: str = data.get("by") or "day"
        self._rows = UsageDay.objects.filter(day__range=(self.since, self.until))
        self._accounts: dict[str, str] = {}
        # The price of a plan cannot be divided among engines.
        self.has_margin = not data.get("engine")
        if engine := data.get("engine"):
            self._rows = self._rows.filter(engine=engine)
        if email := data.get("user"):
            self._accounts = {"email": email.lower()}
            self._rows = self._rows.filter(user__in=User.objects.filter(**self._accounts))

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of the table."""
        return COLUMNS + MARGIN_COLUMNS if self._is_margin_by_user else COLUMNS

    @property
    def _is_margin_by_user(self) -> bool:
        return self.by == "user" and self.has_margin

    @cached_property
    def _payers(self) -> list[Payer]:
        return revenue.payers(self.since, self.until, **self._accounts) if self.has_margin else []

    @cached_property
    def total(self) -> Line:
        """The sums of all lines."""
        sums = self._rows.aggregate(**{f"sum_{name}": value for name, value in SUMS.items()})
        total = sum(payer.revenue_micro_usd for payer in self._payers)
        income = total if self.has_margin else None
        return replace(Line(gettext("Total"), *sums.values()), revenue_micro_usd=income)

    @cached_property
    def lines(self) -> list[Line]:
        """One line per group. Days are in order, other groups by descending cost, then audio."""
        field = {"token": "token_key", "user": "user_id"}.get(self.by, self.by)
        groups = self._grouped(field)
        names = self._names([group[field] for group in groups])
        keyed = {
            group[field]: Line(
                names.get(group[field]) or str(group[field]), *(group[name] for name in SUMS)
            )
            for group in groups
        }
        return self._with_revenue(keyed) if self._is_margin_by_user else [*keyed.values()]

    def _with_revenue(self, by_user: dict[int, Line]) -> list[Line]:
        """The lines with what each account pays, then the accounts that pay without usage."""
        income = {payer.user_id: payer.revenue_micro_usd for payer in self._payers}
        used = [
            replace(line, revenue_micro_usd=income.get(key, 0)) for key, line in by_user.items()
        ]
        return used + [
            Line(payer.email, revenue_micro_usd=payer.revenue_micro_usd)
            for payer in self._payers
            if payer.user_id not in by_user
        ]

    @property
    def rows(self) -> list[tuple[str, list[str]]]:
        """The name and the cells of each line, for the page."""
        return [(line.name, self._shown(line)) for line in self.lines]

    @property
    def total_cells(self) -> list[str]:
        """The cells of the total, for the page."""
        return self._shown(self.total)

    def _shown(self, line: Line) -> list[str]:
        values = [(getattr(line, column.name), column.shown_decimals) for column in self.columns]
        return ["" if value is None else floatformat(value, f"{n}g") for value, n in values]

    def _grouped(self, field: str) -> list[dict[str, Any]]:
        order = ["day"] if field == "day" else ["-cost_micro_usd", "-billed_ms"]
        # Django cannot annotate a sum under the name of its own column: rename it afterwards.
        sums = {f"sum_{name}": value for name, value in SUMS.items()}
        grouped = self._rows.values(field).annotate(**sums)
        renamed = grouped.values(field, **{name: F(f"sum_{name}") for name in SUMS})
        return list(renamed.order_by(*order))

    def _names(self, keys: list[Any]) -> dict[Any, str]:
        if self.by == "user":
            return dict(User.objects.filter(pk__in=keys).values_list("pk", "email"))
        if self.by == "token":
            tokens = ApiToken.objects.filter(pk__in=keys).select_related("user")
            return {0: gettext("Web app"), **{t.pk: f"{t.user}: {t.name}" for t in tokens}}
        return {"": gettext("None (not started)")} if self.by == "engine" else {}

    @property
    def charts(self) -> list[dict[str, Any]]:
        """Bar charts of audio and cost, with a bar for every day of the period."""
        by_day = {group["day"]: group for group in self._grouped("day")}
        minutes = {day: group["billed_ms"] / 60_000 for day, group in by_day.items()}
        usd = {day: group["cost_micro_usd"] / 1e6 for day, group in by_day.items()}
        return [
            self._chart(gettext("Minutes of audio"), "min", minutes, 1),
            self._chart(gettext("Cost"), "USD", usd, 4),
        ]

    def _chart(
        self, title: str, unit: str, values: dict[date, float], digits: int
    ) -> dict[str, Any]:
        maximum = scale_maximum(max(values.values(), default=0.0))
        return {
            "title": title,
            "unit": unit,
            "scale": [f"{share * maximum:g}" for share in (1, 0.5, 0)],
            "bars": self._bars(values, maximum, digits),
        }

    def _bars(self, values: dict[date, float], maximum: float, digits: int) -> list[dict[str, Any]]:
        """Rectangles in a view box of 100 by 100, in which `maximum` is 100 high."""
        count = (self.until - self.since).days + 1
        width = 100 / count
        bars = []
        for index in range(count):
            day = self.since + timedelta(days=index)
            value = values.get(day, 0.0)
            height = max(0.0, 100 * value / maximum)
            bars.append(
                {
                    "day": day,
                    "value": round(value, digits),
                    "x": round(index * width, 4),
                    "y": round(100 - height, 3),
                    "width": round(width * 0.8, 4),
                    "height": round(height, 3),
                }
            )
        return bars

    def as_csv(self) -> HttpResponse:
        """The lines and the total as a download."""
        name = f"usage-by-{self.by}-{self.since}-{self.until}.csv"
        response = HttpResponse(
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )
        writer = csv.writer(response)
        writer.writerow([self.by, *(column.name for column in self.columns)])
        writer.writerows(self._csv_rows())
        return response

    def _csv_rows(self) -> Iterator[list[str]]:
        for line in (*self.lines, self.total):
            values = [(getattr(line, column.name), column.decimals) for column in self.columns]
            cells = ["" if value is None else f"{value:.{n}f}" for value, n in values]
            yield [safe_cell(line.name), *cells]


def scale_maximum(value: float) -> float:
    """Round up to the maximum of a scale whose maximum and middle are easy to read; 1 for 0."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in SCALE_MAXIMA if value <= step * power)
