"""The usage and cost report: daily sums as a table, charts and CSV."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django import forms
from django.db.models import Count, F, Q, Sum
from django.http import HttpResponse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.models import ApiToken, Plan, UsageDay, User
from accounts.spreadsheets import safe_cell

DEFAULT_DAYS = 30
MAX_DAYS = 400  # enough to compare a month with the same month of the year before
FIRST_DAY = date(2020, 1, 1)  # before the service existed
SUMS = ("attempts", "failures", "billed_ms", "decode_ms", "cold_starts", "cost_micro_usd")
SCALE_MAXIMA = (1, 1.5, 2, 3, 4, 6, 8, 10)  # times a power of ten
GROUPINGS = {"day": _("Day"), "user": _("User"), "token": _("Token"), "engine": _("Engine")}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table: an attribute of Line, and how to show it."""

    name: str
    label: str | Promise
    decimals: int


COLUMNS = (
    Column("attempts", _("attempts"), 0),
    Column("failures", _("failures"), 0),
    Column("audio_minutes", _("audio minutes"), 2),
    Column("gpu_seconds", _("GPU seconds"), 2),
    Column("real_time_factor", _("real-time factor"), 4),
    Column("cold_starts", _("cold starts"), 0),
    Column("cost_usd", _("cost (USD)"), 6),
    Column("usd_per_audio_minute", _("USD per audio minute"), 6),
)


class DateInput(forms.DateInput):
    input_type = "date"


class UsageReportForm(forms.Form):
    """Period, grouping and filters of the report. All fields are optional."""

    since = forms.DateField(required=False, widget=DateInput, label=_("First day"))
    until = forms.DateField(required=False, widget=DateInput, label=_("Last day"))
    by = forms.ChoiceField(choices=[*GROUPINGS.items()], required=False, label=_("Group by"))
    engine = forms.CharField(max_length=20, required=False, label=_("Engine"))
    user = forms.CharField(max_length=254, required=False, label=_("User (email address)"))

    def clean(self) -> dict[str, Any]:
        """Limit the period: a mistyped year must not make a chart of a hundred thousand days."""
        data: dict[str, Any] = super().clean() or {}
        until: date = data.get("until") or timezone.now().date()
        if until < FIRST_DAY:
            message = gettext("There is no usage before %(date)s.")
            self.add_error("until", message % {"date": FIRST_DAY})
            return data
        since: date = data.get("since") or until - timedelta(days=DEFAULT_DAYS - 1)
        if since > until:
            self.add_error("since", gettext("The first day is after the last day."))
        elif (until - since).days >= MAX_DAYS:
            message = gettext("Choose a period of at most %(days)d days.")
            self.add_error("since", message % {"days": MAX_DAYS})
        return data


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table: the sums of a group."""

    name: str
    attempts: int = 0
    failures: int = 0
    billed_ms: int = 0
    decode_ms: int = 0
    cold_starts: int = 0
    cost_micro_usd: int = 0

    @property
    def audio_minutes(self) -> float:
        """Charged minutes of audio."""
        return self.billed_ms / 60_000

    @property
    def gpu_seconds(self) -> float:
        """Engine time."""
        return self.decode_ms / 1000

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
    def cells(self) -> list[str]:
        """Values in the order of COLUMNS; an empty string for None."""
        values = [(getattr(self, column.name), column.decimals) for column in COLUMNS]
        return ["" if value is None else f"{value:.{digits}f}" for value, digits in values]


class UsageReport:
    """The report for a form; for an invalid form, the report with default values."""

    def __init__(self, form: UsageReportForm) -> None:
        data = form.cleaned_data if form.is_valid() else {}
        self.until: date = data.get("until") or timezone.now().date()
        self.since: date = data.get("since") or self.until - timedelta(days=DEFAULT_DAYS - 1)
        self.by: str = data.get("by") or "day"
        self._rows = UsageDay.objects.filter(day__range=(self.since, self.until))
        if engine := data.get("engine"):
            self._rows = self._rows.filter(engine=engine)
        if email := data.get("user"):
            self._rows = self._rows.filter(user__in=User.objects.filter(email=email.lower()))

    @property
    def total(self) -> Line:
        """The sums of all lines."""
        sums = self._rows.aggregate(**{name: Sum(name) for name in SUMS})
        return Line(gettext("Total"), **{name: value or 0 for name, value in sums.items()})

    @property
    def lines(self) -> list[Line]:
        """One line per group. Days are in order, other groups by descending cost, then audio."""
        field = {"token": "token_key", "user": "user_id"}.get(self.by, self.by)
        groups = self._grouped(field)
        names = self._names([group[field] for group in groups])
        return [
            Line(names.get(group[field]) or str(group[field]), *(group[name] for name in SUMS))
            for group in groups
        ]

    def _grouped(self, field: str) -> list[dict[str, Any]]:
        order = ["day"] if field == "day" else ["-cost_micro_usd", "-billed_ms"]
        # Django cannot annotate a sum under the name of its own column: rename it afterwards.
        grouped = self._rows.values(field).annotate(**{f"sum_{name}": Sum(name) for name in SUMS})
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

    @staticmethod
    def revenue() -> list[dict[str, Any]]:
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

    def as_csv(self) -> HttpResponse:
        """The lines and the total as a download."""
        name = f"usage-by-{self.by}-{self.since}-{self.until}.csv"
        response = HttpResponse(
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )
        writer = csv.writer(response)
        writer.writerow([self.by, *(column.name for column in COLUMNS)])
        writer.writerows(self._csv_rows())
        return response

    def _csv_rows(self) -> Iterator[list[str]]:
        for line in (*self.lines, self.total):
            yield [safe_cell(line.name), *line.cells]


def scale_maximum(value: float) -> float:
    """Round up to the maximum of a scale whose maximum and middle are easy to read; 1 for 0."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in SCALE_MAXIMA if value <= step * power)
