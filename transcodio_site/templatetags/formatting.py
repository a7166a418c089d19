"""Template filters and tags that write dates, durations, sizes and percentages for people.

Every date on every page goes through this module, so that all of them look alike.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

from django import template
from django.template.defaultfilters import floatformat
from django.utils.dateparse import parse_date
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

register = template.Library()


@register.filter
def duration(seconds: float | None) -> str:
    """Seconds as m:ss or h:mm:ss, rounded down, as `static/js/duration.js` does; "" for None."""
    if seconds is None:
        return ""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@register.filter
def seconds(number: float, digits: int) -> str:
    """Format seconds for operators: "12.34 s"."""
    return f"{floatformat(number, digits)} s"


@register.filter
def minutes(seconds: float, digits: int) -> str:
    """A number of minutes, the unit of plans and limits: "1,199.3"."""
    return floatformat(seconds / 60, f"{digits}g")


@register.filter
def grouped(number: int) -> str:
    """A whole number with separators: "1,200"."""
    return floatformat(number, "0g")


@register.filter
def file_size(megabytes: int) -> str:
    """A limit in megabytes: "500 MB", "2 GB"."""
    gigabytes, rest = divmod(megabytes, 1024)
    if gigabytes and not rest:
        return _("%(number)s GB") % {"number": gigabytes}
    return _("%(number)s MB") % {"number": megabytes}


@register.filter
def percent(number: float) -> str:
    """A percentage: "80%"."""
    return _("%(number)s%%") % {"number": number}


@register.filter
def utc_date(moment: date) -> str:
    """A date, or the date of a moment in UTC: "Nov 25, 2026"."""
    return date_format(_in_utc(moment), "DATE_FORMAT")


@register.filter
def iso_date(text: str) -> str:
    """An ISO date ("2026-11-25", as in CSV files) in our style; other text unchanged."""
    day = parse_date(text)
    return utc_date(day) if day else text


@register.filter
def utc_datetime(moment: datetime) -> str:
    """For text that no script adapts, such as email: "Nov 25, 2026, 9:13 PM UTC"."""
    return f"{date_format(_in_utc(moment), 'DATETIME_FORMAT')} UTC"


@register.filter
def utc_milliseconds(moment: datetime) -> str:
    """For a table whose heading says UTC: "Nov 25, 2026, 9:13:05.250 PM"."""
    moment = moment.astimezone(UTC)
    day, clock, half = (date_format(moment, part) for part in ("DATE_FORMAT", "g:i:s", "A"))
    return f"{day}, {clock}.{moment.microsecond // 1000:03} {half}"


@register.simple_tag
def local_date(moment: datetime) -> SafeString:
    """The date in the reader's time zone (`static/js/local-time.js`); in UTC without scripts."""
    html = '<local-time data-style="date"><time datetime="{}">{}</time></local-time>'
    return format_html(html, moment.isoformat(), utc_date(moment))


@register.simple_tag
def local_datetime(moment: datetime) -> SafeString:
    """Date and time in the reader's time zone; in UTC, and saying so, without scripts."""
    html = '<local-time><time datetime="{}">{}</time></local-time>'
    return format_html(html, moment.isoformat(), utc_datetime(moment))


def _in_utc(moment: date) -> date:
    return moment.astimezone(UTC) if isinstance(moment, datetime) else moment
