"""The comparison of the ledger with the provider's bill."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from accounts.usage.tests.helpers import ATTEMPT, record_usage

PAGE = "/admin/accounts/usageday/"
BILL: dict[date, Decimal] = {}


def read_bill(since: date, until: date) -> dict[date, Decimal]:
    """A bill in place of Modal's, which the tests of `gpu` read from a control plane."""
    if not BILL:
        raise ConnectionError("[Errno 111] Connection refused")
    return {day: usd for day, usd in BILL.items() if since <= day <= until}


@pytest.fixture
def billed(settings: Any) -> Iterator[dict[date, Decimal]]:
    settings.BILL_BY_DAY = f"{__name__}.read_bill"
    yield BILL
    BILL.clear()


MAY = f"{PAGE}?since=2026-05-01&until=2026-05-31"


def test_ledger_is_compared_with_the_bill(
    staff_client: Client, may_usage: None, billed: dict[date, Decimal]
) -> None:
    page = staff_client.get(MAY).content.decode()
    assert "Fetch the bill" in page
    billed |= {date(2026, 5, 4): Decimal("0.001"), date(2026, 5, 9): Decimal("0.03")}
    comparison = staff_client.get(f"{MAY}&compare=1").context["comparison"]
    # Two attempts of 1.2 s at 0.000275 USD per second, and a day with idle time only.
    assert [
        (line.name, str(line.ledger), str(line.billed), line.percent) for line in comparison
    ] == [
        ("2026-05-04", "0.00066", "0.001", 66.0),
        ("2026-05-09", "0", "0.03", 0.0),
        ("Total", "0.00066", "0.031", 2.1),
    ]
    assert comparison[0].difference == Decimal("0.00034")


def test_bill_of_today_is_not_read(
    alice: User, staff_client: Client, billed: dict[date, Decimal]
) -> None:
    now = timezone.now()
    record_usage(alice, **ATTEMPT | {"created_at": now})
    billed[now.date()] = Decimal(1)
    comparison = staff_client.get(f"{PAGE}?compare=1").context["comparison"]
    assert [(line.name, line.billed) for line in comparison] == [("Total", 0)]


@pytest.mark.covers("fault", "Modal cannot be reached for its bill")
def test_unreadable_bill_says_what_to_do_and_logs_the_error(
    staff_client: Client,
    may_usage: None,
    billed: dict[date, Decimal],
    caplog: pytest.LogCaptureFixture,
) -> None:
    page = staff_client.get(f"{MAY}&compare=1").content.decode()
    assert "bill could not be read. Check that this server reaches Modal" in page
    assert "[Errno 111]" not in page
    assert "[Errno 111]" in caplog.text
    assert "Fetch the bill" in page


def test_no_comparison_without_billed_usage(alice: User, staff_client: Client) -> None:
    record_usage(alice, **ATTEMPT | {"engine": "whisper"})
    assert 'id="bill"' not in staff_client.get(MAY).content.decode()
