"""The form of the usage and cost report: period, grouping and filters."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

DEFAULT_DAYS = 30
MAX_DAYS = 400  # enough to compare a month with the same month of the year before
FIRST_DAY = date(2020, 1, 1)  # before the service existed
GROUPINGS = {"day": _("Day"), "user": _("User"), "token": _("Token"), "engine": _("Engine")}


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

    def show_period(self, since: date, until: date) -> None:
        """Show these days in fields that were left empty."""
        period = {"since": str(since), "until": str(until)}
        self.data = self.data.dict() if isinstance(self.data, QueryDict) else {**self.data}
        self.data |= {name: day for name, day in period.items() if not self.data.get(name)}


@dataclass(frozen=True, slots=True)
class Preset:
    """A period that one click selects."""

    label: str | Promise
    since: date
    until: date


def presets(today: date) -> list[Preset]:
    """The most common periods."""
    month = today.replace(day=1)
    end_of_last_month = month - timedelta(days=1)
    return [
        Preset(_("This month"), month, today),
        Preset(_("Last month"), end_of_last_month.replace(day=1), end_of_last_month),
        Preset(_("Last 30 days"), today - timedelta(days=DEFAULT_DAYS - 1), today),
        Preset(_("This year"), today.replace(month=1, day=1), today),
    ]


def preset_links(query: QueryDict, since: date, until: date) -> list[dict[str, Any]]:
    """Links to the same report for each preset, and whether it shows that period."""
    links = []
    for preset in presets(timezone.now().date()):
        target = query.copy()
        target["since"], target["until"] = str(preset.since), str(preset.until)
        links.append(
            {
                "label": preset.label,
                "query": target.urlencode(),
                "is_current": (preset.since, preset.until) == (since, until),
            }
        )
    return links
