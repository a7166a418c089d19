"""Usage and cost review: what the days add up to, for people who look rather than read."""

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

from accounts.models import ApiToken, Plan, UsageDay, User

DAYS = 30  # shown unless something else is asked for
MOST_DAYS = 400  # a year and a little, to compare the ends
FIRST_DAY = date(2020, 1, 1)  # before that there was nothing to be used
SUMS = ("attempts", "failures", "billed_ms", "decode_ms", "cold_starts", "cost_micro_usd")
STEPS = (1, 1.5, 2, 3, 4, 6, 8, 10)  # where a scale may end, but for noughts
BY = {"day": "Day", "user": "User", "token": "Token", "engine": "Engine"}
COLUMNS = {  # with their decimal places
    "attempts": 0,
    "failures": 0,
    "audio_minutes": 2,
    "gpu_seconds": 2,
    "real_time_factor": 4,
    "cold_starts": 0,
    "cost_usd": 6,
    "usd_per_audio_minute": 6,
}


class ReviewForm(forms.Form):
    """Which days, of whom, and by what."""

    since = forms.DateField(required=False, widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(required=False, widget=forms.DateInput(attrs={"type": "date"}))
    by = forms.ChoiceField(choices=[*BY.items()], required=False)
    engine = forms.CharField(max_length=20, required=False)
    user = forms.CharField(max_length=254, required=False, label="User (e-mail)")

    def clean(self) -> dict[str, Any]:
        """A mistyped year must not make a chart of a hundred thousand days."""
        given: dict[str, Any] = super().clean() or {}
        until: date = given.get("until") or timezone.now().date()
        if until < FIRST_DAY:
            self.add_error("until", f"There is nothing before {FIRST_DAY:%Y-%m-%d}.")
            return given
        since: date = given.get("since") or until - timedelta(days=DAYS - 1)
        if since > until:
            self.add_error("since", "This is after the last day.")
        elif (until - since).days >= MOST_DAYS:
            self.add_error("since", f"At most {MOST_DAYS} days can be shown at once.")
        return given


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the review."""

    name: str
    attempts: int = 0
    failures: int = 0
    billed_ms: int = 0
    decode_ms: int = 0
    cold_starts: int = 0
    cost_micro_usd: int = 0

    @property
    def audio_minutes(self) -> float:
        """Minutes of audio that were charged."""
        return self.billed_ms / 60_000

    @property
    def gpu_seconds(self) -> float:
        """The engine's time."""
        return self.decode_ms / 1000

    @property
    def real_time_factor(self) -> float | None:
        """The engine's time / audio time: lower is better."""
        return self.decode_ms / self.billed_ms if self.billed_ms > 0 else None

    @property
    def cost_usd(self) -> float:
        """Dollars, exact to the micro-dollar."""
        return self.cost_micro_usd / 1e6

    @property
    def usd_per_audio_minute(self) -> float | None:
        """What a minute of audio cost."""
        if self.billed_ms <= 0:
            return None
        return self.cost_usd / self.audio_minutes

    @property
    def cells(self) -> list[str]:
        """In the order of COLUMNS; empty where there is nothing to divide by."""
        values = [(getattr(self, name), digits) for name, digits in COLUMNS.items()]
        return ["" if value is None else f"{value:.{digits}f}" for value, digits in values]


class Review:
    """The answer to one ReviewForm."""

    def __init__(self, form: ReviewForm) -> None:
        asked = form.cleaned_data if form.is_valid() else {}
        self.until: date = asked.get("until") or timezone.now().date()
        self.since: date = asked.get("since") or self.until - timedelta(days=DAYS - 1)
        self.by: str = asked.get("by") or "day"
        self._rows = UsageDay.objects.filter(day__range=(self.since, self.until))
        if engine := asked.get("engine"):
            self._rows = self._rows.filter(engine=engine)
        if email := asked.get("user"):
            self._rows = self._rows.filter(user__in=User.objects.filter(email=email.lower()))

    @property
    def total(self) -> Line:
        """All of it."""
        sums = self._rows.aggregate(**{name: Sum(name) for name in SUMS})
        return Line("Total", **{name: value or 0 for name, value in sums.items()})

    @property
    def lines(self) -> list[Line]:
        """By what was asked for; days in their order, everything else by cost, then audio."""
        field = {"token": "token_key", "user": "user_id"}.get(self.by, self.by)
        groups = self._grouped(field)
        names = self._names([group[field] for group in groups])
        return [
            Line(names.get(group[field]) or str(group[field]), *(group[name] for name in SUMS))
            for group in groups
        ]

    def _grouped(self, field: str) -> list[dict[str, Any]]:
        order = ["day"] if field == "day" else ["-cost_micro_usd", "-billed_ms"]
        # Sums under the names of their columns need the columns under others.
        grouped = self._rows.values(field).annotate(**{f"sum_{name}": Sum(name) for name in SUMS})
        renamed = grouped.values(field, **{name: F(f"sum_{name}") for name in SUMS})
        return list(renamed.order_by(*order))

    def _names(self, keys: list[Any]) -> dict[Any, str]:
        if self.by == "user":
            return dict(User.objects.filter(pk__in=keys).values_list("pk", "email"))
        if self.by == "token":
            tokens = ApiToken.objects.filter(pk__in=keys).select_related("user")
            return {0: "By the pages", **{t.pk: f"{t.user}: {t.name}" for t in tokens}}
        return {"": "None: never began"} if self.by == "engine" else {}

    @property
    def charts(self) -> list[dict[str, Any]]:
        """What was used and what it cost, a bar for every day of the range."""
        by_day = {group["day"]: group for group in self._grouped("day")}
        minutes = {day: group["billed_ms"] / 60_000 for day, group in by_day.items()}
        usd = {day: group["cost_micro_usd"] / 1e6 for day, group in by_day.items()}
        return [
            self._chart("Minutes of audio", "min", minutes, 1),
            self._chart("Cost", "USD", usd, 4),
        ]

    def _chart(
        self, title: str, unit: str, values: dict[date, float], digits: int
    ) -> dict[str, Any]:
        top = round_up(max(values.values(), default=0.0))
        return {
            "title": title,
            "unit": unit,
            "scale": [f"{share * top:g}" for share in (1, 0.5, 0)],
            "bars": self._bars(values, top, digits),
        }

    def _bars(self, values: dict[date, float], top: float, digits: int) -> list[dict[str, Any]]:
        """Heights are shares of `top`, to 100."""
        length = (self.until - self.since).days + 1
        width = 100 / length
        bars = []
        for number in range(length):
            day = self.since + timedelta(days=number)
            value = values.get(day, 0.0)
            height = max(0.0, 100 * value / top)
            bars.append(
                {
                    "day": day,
                    "value": round(value, digits),
                    "x": round(number * width, 4),
                    "y": round(100 - height, 3),
                    "width": round(width * 0.8, 4),
                    "height": round(height, 3),
                }
            )
        return bars

    @staticmethod
    def revenue() -> list[dict[str, Any]]:
        """What the plans bring in a month, with the active accounts that have them now."""
        active = Count("users", filter=Q(users__is_active=True))
        plans = Plan.objects.annotate(accounts=active).order_by("price_cents", "name")
        unplanned = User.objects.filter(plan=None, is_active=True).count()
        return [
            {
                "plan": plan.name,
                "accounts": (accounts := plan.accounts + (unplanned if plan.is_default else 0)),
                "usd": accounts * plan.price_cents / 100,
            }
            for plan in plans
        ]

    def as_csv(self) -> HttpResponse:
        """The same lines for a spreadsheet."""
        name = f"usage-by-{self.by}-{self.since}-{self.until}.csv"
        response = HttpResponse(
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )
        writer = csv.writer(response)
        writer.writerow([self.by, *COLUMNS])
        writer.writerows(self._cells())
        return response

    def _cells(self) -> Iterator[list[Any]]:
        for line in (*self.lines, self.total):
            # A spreadsheet would take what begins so for a formula.
            risky = line.name.startswith(("=", "+", "-", "@", "\t", "\r"))
            yield [f"'{line.name}" if risky else line.name, *line.cells]


def round_up(value: float) -> float:
    """To the end of a scale that is easy to read, and so is its middle; 1 for nothing."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in STEPS if value <= step * power)
