"""The usage and cost report in the admin site."""

from __future__ import annotations

import csv
from datetime import date, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Plan, User
from accounts.spreadsheets import safe_cell
from accounts.tokens import issue_token
from accounts.usage import reports
from accounts.usage.report_form import presets
from accounts.usage.tests.helpers import ATTEMPT, MAY_4, record_usage

PAGE = "/admin/accounts/usageday/"


def test_admin_site_has_our_icon(staff_client: Client) -> None:
    for page in ("/admin/", PAGE):
        assert "img/favicon" in staff_client.get(page).content.decode()


def lines(client: Client, query: str) -> dict[str, dict[str, str]]:
    response = client.get(f"{PAGE}?since=2026-05-01&until=2026-05-31&format=csv&{query}")
    assert response["Content-Type"].startswith("text/csv")
    rows = csv.DictReader(response.content.decode().splitlines())
    return {next(iter(row.values())): row for row in rows}


@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("day", ["2026-05-04", "2026-05-05", "Total"]),
        ("user", ["bob@example.com", "alice@example.com", "Total"]),
        ("engine", ["modal", "whisper", "None (not started)", "Total"]),
        ("token", ["Web app", "alice@example.com: Laptop", "Total"]),
    ],
)
def test_lines_are_grouped_and_add_up_to_the_total(
    may_usage: None, staff_client: Client, by: str, names: list[str]
) -> None:
    groups = lines(staff_client, f"by={by}")
    assert sorted(groups) == sorted(names)
    for column in ("attempts", "failures", "cold_starts"):
        total = sum(int(row[column]) for name, row in groups.items() if name != "Total")
        assert total == int(groups["Total"][column])


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("until=0001-01-05", "There is no usage before 2020-01-01."),
        ("since=1926-05-01&until=2026-05-31", "Choose a period of at most 400 days."),
        ("since=2026-06-01&until=2026-05-31", "The first day is after the last day."),
        ("since=yesterday", "Enter a valid date."),
    ],
)
def test_invalid_period_shows_an_error_and_the_default_period(
    may_usage: None, staff_client: Client, query: str, message: str
) -> None:
    response = staff_client.get(f"{PAGE}?{query}")
    assert response.status_code == 200
    assert message in response.content.decode()
    assert response.content.count(b"<rect") == 2 * 30  # the default period


def test_figures_agree_with_the_ledger(may_usage: None, staff_client: Client) -> None:
    alice = lines(staff_client, "by=user")["alice@example.com"]
    assert alice == {
        "user": "alice@example.com",
        "attempts": "2",
        "failures": "0",
        "audio_minutes": "2.00",
        "gpu_seconds": "1.20",
        "cpu_seconds": "1.20",
        "real_time_factor": "0.0200",
        "cold_starts": "1",
        "cost_usd": "0.000330",
        "usd_per_audio_minute": "0.000165",
        "revenue_usd": "0.000000",
        "margin_usd": "-0.000330",
    }


def test_filters_by_user_engine_and_day(may_usage: None, staff_client: Client) -> None:
    assert lines(staff_client, "user=BOB@example.com")["Total"]["attempts"] == "2"
    assert lines(staff_client, "engine=whisper")["Total"]["attempts"] == "1"
    assert lines(staff_client, "since=2026-05-05")["Total"]["attempts"] == "1"


@pytest.mark.covers("attack", "A name in a CSV file is a formula")
@pytest.mark.parametrize("start", ["=", "+", "-", "@", " =", "\t", "\t=", "\r", "\n", "\u00a0="])
def test_csv_quotes_text_that_is_a_formula(start: str) -> None:
    assert safe_cell(f"{start}cmd()") == f"'{start}cmd()"
    assert safe_cell(f"name{start}cmd()") == f"name{start}cmd()"


def test_csv_has_no_formulas(alice: User, staff_client: Client) -> None:
    User.objects.filter(pk=alice.pk).update(email="=cmd()@example.com")
    record_usage(alice, **ATTEMPT)
    assert "'=cmd()@example.com" in lines(staff_client, "by=user")


def test_charts_have_a_bar_for_each_day_and_a_scale(may_usage: None, staff_client: Client) -> None:
    page = staff_client.get(f"{PAGE}?since=2026-05-01&until=2026-05-31").content.decode()
    assert page.count("<rect ") == 2 * 31
    assert "May 4, 2026: 3.0 min" in page
    assert "May 4, 2026: 0.0007 USD" in page
    for scale in (("3", "1.5", "0"), ("0.0008", "0.0004", "0")):
        assert "".join(f"<li>{mark}</li>" for mark in scale) in page
    assert "<span>May 1, 2026</span><span>May 31, 2026</span>" in page


@pytest.mark.parametrize(
    ("value", "maximum"),
    [(0, 1), (0.7, 0.8), (1, 1), (1.01, 1.5), (3, 3), (51, 60), (0.0021, 0.003)],
)
def test_scale_maximum_is_a_round_number(value: float, maximum: float) -> None:
    assert reports.scale_maximum(value) == pytest.approx(maximum)


def test_invalid_form_returns_a_page_instead_of_csv(staff_client: Client) -> None:
    response = staff_client.get(f"{PAGE}?since=tomorrow&format=csv")
    assert response["Content-Type"].startswith("text/html")
    assert "Enter a valid date." in response.content.decode()


def test_report_without_usage(staff_client: Client) -> None:
    assert "No usage in this period" in staff_client.get(PAGE).content.decode()
    assert staff_client.get(f"{PAGE}?since=tomorrow").status_code == 200


def test_report_reads_daily_sums_and_not_the_ledger(
    may_usage: None, staff_client: Client, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(19) as queries:  # including those of the session
        staff_client.get(f"{PAGE}?by=user&since=2026-05-01&until=2026-05-31")
    assert not any("accounts_usagerecord" in query["sql"] for query in queries)


@pytest.mark.parametrize("by", ["day", "user", "token", "engine"])
def test_number_of_queries_does_not_grow_with_users(
    may_usage: None, staff_client: Client, by: str
) -> None:
    plan = Plan.objects.create(name="Studio", price_cents=1900)
    staff_client.get(PAGE)  # what the process caches
    counts = []
    for number in range(2):
        with CaptureQueriesContext(connection) as queries:
            staff_client.get(f"{PAGE}?by={by}&since=2026-05-01&until=2026-05-31")
        counts.append(len(queries))
        for name in "abc":
            user = User.objects.create_user(f"{name}{number}@example.com", plan=plan)
            token, _ = issue_token(user, name)
            record_usage(user, **ATTEMPT | {"token": token, "engine": name})
    assert counts[0] == counts[1]


def test_time_of_the_cpu_is_not_time_of_the_gpu(alice: User, staff_client: Client) -> None:
    seconds = {"modal": 1000, "kyutai": 2000, "whisper": 4000, "diarizer": 8000}
    own = {"nano_usd_per_second": 0}
    for engine, decode_ms in seconds.items():
        price = {} if engine == "modal" else own
        record_usage(alice, **ATTEMPT | {"engine": engine, "decode_ms": decode_ms} | price)
    next_day = {"created_at": MAY_4 + timedelta(days=1)}
    paid = {"engine": "diarizer", "decode_ms": 16_000, "gpu_type": "L4"}  # at Modal
    record_usage(alice, **ATTEMPT | next_day | paid)
    total = lines(staff_client, "")["Total"]
    assert (total["gpu_seconds"], total["cpu_seconds"]) == ("19.00", "12.00")
    page = staff_client.get(f"{PAGE}?since=2026-05-01&until=2026-05-31").content.decode()
    assert "<dt>GPU time</dt><dd>0:19</dd>" in page
    assert "<dt>CPU time</dt><dd>0:12</dd>" in page


def test_dates_of_the_shown_period_are_filled_in(staff_client: Client) -> None:
    today = timezone.now().date()
    fields = staff_client.get(PAGE).context["form"]
    assert fields["since"].value() == str(today - timedelta(days=29))
    assert fields["until"].value() == str(today)
    fields = staff_client.get(f"{PAGE}?until=2026-05-31&by=user").context["form"]
    assert (fields["since"].value(), fields["until"].value()) == ("2026-05-02", "2026-05-31")
    fields = staff_client.get(f"{PAGE}?since=yesterday").context["form"]
    assert fields["since"].value() == "yesterday"  # to be corrected


@pytest.mark.parametrize(
    ("today", "periods"),
    [
        (
            date(2026, 5, 20),
            {
                "This month": (date(2026, 5, 1), date(2026, 5, 20)),
                "Last month": (date(2026, 4, 1), date(2026, 4, 30)),
                "Last 30 days": (date(2026, 4, 21), date(2026, 5, 20)),
                "This year": (date(2026, 1, 1), date(2026, 5, 20)),
            },
        ),
        (date(2027, 1, 1), {"Last month": (date(2026, 12, 1), date(2026, 12, 31))}),
        (date(2028, 3, 31), {"Last month": (date(2028, 2, 1), date(2028, 2, 29))}),
    ],
)
def test_presets(today: date, periods: dict[str, tuple[date, date]]) -> None:
    found = {str(preset.label): (preset.since, preset.until) for preset in presets(today)}
    assert found.items() >= periods.items()


def test_presets_keep_the_filters_and_mark_the_shown_period(staff_client: Client) -> None:
    first = staff_client.get(f"{PAGE}?by=user&engine=modal")
    link = next(link for link in first.context["presets"] if link["label"] == "Last month")
    assert "by=user&engine=modal" in link["query"]
    page = staff_client.get(f"{PAGE}?{link['query']}")
    assert page.status_code == 200
    current = [each["label"] for each in page.context["presets"] if each["is_current"]]
    assert current == ["Last month"]
    assert page.content.decode().count('aria-current="true"') == 1
