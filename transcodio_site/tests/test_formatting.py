"""The template filters that write dates, durations, sizes and browsers."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from django.template import Context, Template

from transcodio_site.templatetags.formatting import (
    duration,
    file_size,
    grouped,
    iso_date,
    minutes,
    percent,
    seconds,
    utc_date,
    utc_datetime,
    utc_milliseconds,
)
from transcodio_site.templatetags.user_agents import browser

EVENING = datetime(2026, 11, 25, 21, 13, 5, 250_400, tzinfo=UTC)
TOKYO = timezone(timedelta(hours=9))

MOZILLA = "Mozilla/5.0 (X11; Linux x86_64)"
WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"


def render(source: str, **context: object) -> str:
    return Template("{% load formatting user_agents %}" + source).render(Context(context))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (0, "0:00"),
        (59.99, "0:59"),
        (60, "1:00"),
        (3599.9, "59:59"),
        (36_061, "10:01:01"),
    ],
)
def test_durations_are_rounded_down(value: float | None, text: str) -> None:
    assert duration(value) == text


@pytest.mark.parametrize(
    ("megabytes", "text"), [(8, "8 MB"), (1000, "1000 MB"), (1024, "1 GB"), (2048, "2 GB")]
)
def test_file_sizes_are_never_rounded(megabytes: int, text: str) -> None:
    assert file_size(megabytes) == text


def test_numbers_have_units() -> None:
    assert percent(80) == "80%"
    assert seconds(1.239, 2) == "1.24 s"


@pytest.mark.parametrize("moment", [EVENING, EVENING.astimezone(TOKYO)])
def test_dates_are_written_in_utc(moment: datetime) -> None:
    assert utc_date(moment) == utc_date(date(2026, 11, 25)) == "Nov 25, 2026"
    assert utc_datetime(moment) == "Nov 25, 2026, 9:13 PM UTC"
    assert utc_milliseconds(moment) == "Nov 25, 2026, 9:13:05.250 PM"


def test_local_dates_have_a_machine_readable_time() -> None:
    assert render("{% local_datetime moment %}", moment=EVENING) == (
        '<local-time><time datetime="2026-11-25T21:13:05.250400+00:00">'
        "Nov 25, 2026, 9:13 PM UTC</time></local-time>"
    )
    assert render("{% local_date moment %}", moment=EVENING) == (
        '<local-time data-style="date"><time datetime="2026-11-25T21:13:05.250400+00:00">'
        "Nov 25, 2026</time></local-time>"
    )


@pytest.mark.parametrize(
    ("user_agent", "text"),
    [
        (f"{MOZILLA} {WEBKIT} Chrome/131.0 Safari/537.36", "Chrome on Linux"),
        (f"{MOZILLA} Gecko/20100101 Firefox/128.0", "Firefox on Linux"),
        (
            f"Mozilla/5.0 (Windows NT 10.0) {WEBKIT} Chrome/131.0 Safari/537.36 Edg/131.0",
            "Edge on Windows",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
            "(KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
            "Safari on iPhone",
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 "
            "(KHTML, like Gecko) Version/17.5 Safari/605.1.15",
            "Safari on macOS",
        ),
        (
            f"Mozilla/5.0 (Linux; Android 14) {WEBKIT} Chrome/131.0 Mobile Safari/537.36",
            "Chrome on Android",
        ),
        ("curl/8.5.0", "curl"),
        ("", "Unknown browser"),
        ("<b>", "Unknown browser"),
    ],
)
def test_user_agent_is_shown_as_browser_and_system(user_agent: str, text: str) -> None:
    assert browser(user_agent) == text


def test_minutes_are_rounded_and_grouped() -> None:
    assert minutes(43, 1) == "0.7"
    assert minutes(71_960, 1) == "1,199.3"
    assert minutes(72_000, 0) == grouped(1200) == "1,200"


def test_only_iso_dates_are_rewritten() -> None:
    assert iso_date("2026-11-25") == utc_date(date(2026, 11, 25))
    assert iso_date("alice@example.com") == "alice@example.com"
