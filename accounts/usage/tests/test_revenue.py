"""Revenue and margin in the usage and cost report."""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime
from fractions import Fraction

import pytest
from django.test import Client

from accounts.models import Plan, User
from accounts.usage import revenue
from accounts.usage.tests.helpers import ATTEMPT, record_usage

PAGE = "/admin/accounts/usageday/"
MAY = "since=2026-05-01&until=2026-05-31"


@pytest.fixture
def payers(alice: User, bob: User, carol: User) -> None:
    """Alice and Bob pay 31 dollars a month, Bob since May 22; Carol pays nothing."""
    plan = Plan.objects.create(name="Studio", price_cents=3100)
    for user, joined in ((alice, datetime(2026, 1, 1, tzinfo=UTC)), (bob, MAY_22)):
        User.objects.filter(pk=user.pk).update(plan=plan, date_joined=joined)
    record_usage(alice, **ATTEMPT | {"decode_ms": 4_000_000})
    record_usage(carol, **ATTEMPT | {"decode_ms": 4_000_000})


MAY_22 = datetime(2026, 5, 22, 23, 59, tzinfo=UTC)


def margins(client: Client, query: str) -> dict[str, tuple[str, str, str]]:
    """Cost, revenue and margin of each line of the CSV."""
    response = client.get(f"{PAGE}?{MAY}&by=user&format=csv&{query}")
    rows = csv.DictReader(response.content.decode().splitlines())
    return {r["user"]: (r["cost_usd"], r["revenue_usd"], r["margin_usd"]) for r in rows}


def test_margin_of_each_user_is_revenue_less_cost(payers: None, staff_client: Client) -> None:
    assert margins(staff_client, "") == {
        "alice@example.com": ("1.100000", "31.000000", "29.900000"),
        "carol@example.com": ("1.100000", "0.000000", "-1.100000"),
        "bob@example.com": ("0.000000", "10.000000", "10.000000"),  # pays, but used nothing
        "Total": ("2.200000", "41.000000", "38.800000"),
    }
    alice = margins(staff_client, "user=alice@example.com")
    assert alice["Total"] == alice["alice@example.com"]


def test_margin_is_on_the_page(payers: None, staff_client: Client) -> None:
    page = staff_client.get(f"{PAGE}?{MAY}").content.decode()
    assert "<dt>Revenue</dt><dd>41.00 USD</dd>" in page
    assert "<dt>Margin</dt><dd>38.80 USD</dd>" in page
    assert "margin (USD)" not in page  # of a day
    assert "margin (USD)" in staff_client.get(f"{PAGE}?{MAY}&by=user").content.decode()


def test_no_margin_of_one_engine(payers: None, staff_client: Client) -> None:
    page = staff_client.get(f"{PAGE}?{MAY}&by=user&engine=modal").content.decode()
    assert "argin" not in page


def test_inactive_accounts_and_days_to_come_bring_no_revenue(
    payers: None, alice: User, bob: User
) -> None:
    User.objects.filter(pk=bob.pk).update(is_active=False)
    paid = revenue.payers(date(2026, 5, 1), date(2026, 5, 31))
    assert [payer.email for payer in paid] == [alice.email]
    assert revenue.payers(date(2199, 1, 1), date(2199, 1, 31))[0].revenue_micro_usd == 0


def test_accounts_without_a_plan_pay_the_default_plan(alice: User) -> None:
    Plan.objects.create(name="Basic", price_cents=500, is_default=True)
    User.objects.filter(pk=alice.pk).update(date_joined=datetime(2026, 1, 1, tzinfo=UTC))
    (payer,) = revenue.payers(date(2026, 5, 1), date(2026, 5, 31))
    assert payer.revenue_micro_usd == 5_000_000


@pytest.mark.parametrize(
    ("first", "last", "months"),
    [
        (date(2026, 5, 1), date(2026, 5, 31), Fraction(1)),
        (date(2026, 1, 1), date(2026, 12, 31), Fraction(12)),
        (date(2028, 2, 29), date(2028, 3, 1), Fraction(1, 29) + Fraction(1, 31)),
        (date(2026, 5, 2), date(2026, 5, 1), Fraction(0)),
    ],
)
def test_a_day_is_its_share_of_the_month(first: date, last: date, months: Fraction) -> None:
    assert revenue.months_between(first, last) == months


def test_revenue_excludes_inactive_accounts(alice: User, bob: User, staff_client: Client) -> None:
    User.objects.update(plan=Plan.objects.create(name="Studio", price_cents=1900))
    User.objects.filter(pk=bob.pk).update(is_active=False)
    page = staff_client.get(PAGE).content.decode()
    assert '<th scope="row">Studio</th><td>2</td><td>38.00</td>' in page
    assert "Monthly revenue by plan" in page


def test_revenue_is_ordered_by_price(alice: User, staff_client: Client) -> None:
    for name, cents in (("Studio", 1900), ("Company", 14_900), ("Free", 0)):
        Plan.objects.create(name=name, price_cents=cents)
    names = [line["plan"] for line in revenue.monthly_by_plan()]
    assert names == ["Free", "Studio", "Company"]
