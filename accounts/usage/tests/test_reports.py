"""The usage and cost report in the admin site."""

from __future__ import annotations

import csv
from typing import Any

import pytest
from django.test import Client

from accounts.models import Plan, User
from accounts.spreadsheets import safe_cell
from accounts.usage import reports
from accounts.usage.tests.helpers import ATTEMPT, record_usage

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
        "gpu_seconds": "2.40",
        "real_time_factor": "0.0200",
        "cold_starts": "1",
        "cost_usd": "0.000330",
        "usd_per_audio_minute": "0.000165",
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


def test_revenue_excludes_inactive_accounts(alice: User, bob: User, staff_client: Client) -> None:
    User.objects.update(plan=Plan.objects.create(name="Studio", price_cents=1900))
    User.objects.filter(pk=bob.pk).update(is_active=False)
    page = staff_client.get(PAGE).content.decode()
    assert '<th scope="row">Studio</th><td>2</td><td>38.00</td>' in page
    assert "Monthly revenue by plan" in page


def test_revenue_is_ordered_by_price(alice: User, staff_client: Client) -> None:
    for name, cents in (("Studio", 1900), ("Company", 14_900), ("Free", 0)):
        Plan.objects.create(name=name, price_cents=cents)
    names = [line["plan"] for line in reports.UsageReport.revenue()]
    assert names == ["Free", "Studio", "Company"]


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
    with django_assert_max_num_queries(17) as queries:  # including those of the session
        staff_client.get(f"{PAGE}?by=user&since=2026-05-01&until=2026-05-31")
    assert not any("accounts_usagerecord" in query["sql"] for query in queries)
