"""Usage and cost review: what staff see adds up to what the ledger holds."""

from __future__ import annotations

import csv
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts import review
from accounts.ledger import Outcome, UsageRecord
from accounts.models import ApiToken, Plan, User

PAGE = "/admin/accounts/usageday/"
DAY = datetime(2026, 5, 4, 12, tzinfo=UTC)


def record(user: User, **fields: Any) -> None:
    values = {
        "outcome": Outcome.COMPLETED,
        "billed": True,
        "reason": "A test.",
        "created_at": DAY,
        "engine": "modal",
        "audio_ms": 60_000,
        "decode_ms": 1200,
        "nano_usd_per_second": 275_000,
    }
    UsageRecord(user=user, transcription=uuid.uuid4(), **values | fields).write()


@pytest.fixture
def used(alice: User, bob: User) -> None:
    token, _ = ApiToken.issue(alice, "Laptop")
    record(alice, token=token, load_ms=4000)
    record(alice, created_at=DAY + timedelta(days=1), engine="whisper", nano_usd_per_second=0)
    record(bob, audio_ms=120_000)
    record(bob, outcome=Outcome.FAILED, billed=False, audio_ms=0, decode_ms=0, engine="")


@pytest.fixture
def clerk(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_user("clerk@example.com", "x", is_staff=True))
    return client


def test_the_admin_site_has_our_icon(clerk: Client) -> None:
    for page in ("/admin/", PAGE):
        assert "img/favicon" in clerk.get(page).content.decode()


def lines(client: Client, query: str) -> dict[str, dict[str, str]]:
    answer = client.get(f"{PAGE}?since=2026-05-01&until=2026-05-31&format=csv&{query}")
    assert answer["Content-Type"].startswith("text/csv")
    rows = csv.DictReader(answer.content.decode().splitlines())
    return {next(iter(row.values())): row for row in rows}


@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("day", ["2026-05-04", "2026-05-05", "Total"]),
        ("user", ["bob@example.com", "alice@example.com", "Total"]),
        ("engine", ["modal", "whisper", "None: never began", "Total"]),
        ("token", ["By the pages", "alice@example.com: Laptop", "Total"]),
    ],
)
def test_lines_by_whatever_is_asked_for(
    used: None, clerk: Client, by: str, names: list[str]
) -> None:
    found = lines(clerk, f"by={by}")
    assert sorted(found) == sorted(names)
    for column in ("attempts", "failures", "cold_starts"):
        parts = sum(int(row[column]) for name, row in found.items() if name != "Total")
        assert parts == int(found["Total"][column])


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("until=0001-01-05", "There is nothing before 2020-01-01."),
        ("since=1926-05-01&until=2026-05-31", "At most 400 days can be shown at once."),
        ("since=2026-06-01&until=2026-05-31", "This is after the last day."),
        ("since=yesterday", "Enter a valid date."),
    ],
)
def test_days_that_make_no_sense_are_named(
    used: None, clerk: Client, query: str, words: str
) -> None:
    answer = clerk.get(f"{PAGE}?{query}")
    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert answer.content.count(b"<rect") == 2 * 30  # the usual days instead


def test_the_figures_are_those_of_the_ledger(used: None, clerk: Client) -> None:
    alice = lines(clerk, "by=user")["alice@example.com"]
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


def test_filters_narrow_it_down(used: None, clerk: Client) -> None:
    assert lines(clerk, "user=BOB@example.com")["Total"]["attempts"] == "2"
    assert lines(clerk, "engine=whisper")["Total"]["attempts"] == "1"
    assert lines(clerk, "since=2026-05-05")["Total"]["attempts"] == "1"


def test_a_name_is_no_formula(alice: User, clerk: Client) -> None:
    User.objects.filter(pk=alice.pk).update(email="=cmd()@example.com")
    record(alice)
    assert "'=cmd()@example.com" in lines(clerk, "by=user")


def test_the_page_shows_a_bar_for_each_day_on_a_scale(used: None, clerk: Client) -> None:
    page = clerk.get(f"{PAGE}?since=2026-05-01&until=2026-05-31").content.decode()
    assert page.count("<rect ") == 2 * 31
    assert "May 4, 2026: 3.0 min" in page
    assert "May 4, 2026: 0.0007 USD" in page
    for scale in (("3", "1.5", "0"), ("0.0008", "0.0004", "0")):
        assert "".join(f"<li>{mark}</li>" for mark in scale) in page
    assert "<span>May 1, 2026</span><span>May 31, 2026</span>" in page


@pytest.mark.parametrize(
    ("value", "top"), [(0, 1), (0.7, 0.8), (1, 1), (1.01, 1.5), (3, 3), (51, 60), (0.0021, 0.003)]
)
def test_scales_end_in_round_numbers(value: float, top: float) -> None:
    assert review.round_up(value) == pytest.approx(top)


def test_accounts_that_are_not_active_bring_in_nothing(
    alice: User, bob: User, clerk: Client
) -> None:
    User.objects.update(plan=Plan.objects.create(name="Studio", price_cents=1900))
    User.objects.filter(pk=bob.pk).update(is_active=False)
    page = clerk.get(PAGE).content.decode()
    assert '<th scope="row">Studio</th><td>2</td><td>38.00</td>' in page
    assert "Monthly revenue by plan" in page


def test_plans_stand_in_the_order_of_their_prices(alice: User, clerk: Client) -> None:
    for name, cents in (("Studio", 1900), ("Company", 14_900), ("Free", 0)):
        Plan.objects.create(name=name, price_cents=cents)
    names = [line["plan"] for line in review.Review.revenue()]
    assert names == ["Free", "Studio", "Company"]


def test_a_form_that_is_wrong_gives_a_page_and_no_csv(clerk: Client) -> None:
    answer = clerk.get(f"{PAGE}?since=tomorrow&format=csv")
    assert answer["Content-Type"].startswith("text/html")
    assert "Enter a valid date." in answer.content.decode()


def test_without_any_usage_it_says_so(clerk: Client) -> None:
    assert "No usage in this period" in clerk.get(PAGE).content.decode()
    assert clerk.get(f"{PAGE}?since=tomorrow").status_code == 200


def test_it_reads_days_and_never_the_ledger(
    used: None, clerk: Client, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(17) as queries:  # the session's own included
        clerk.get(f"{PAGE}?by=user&since=2026-05-01&until=2026-05-31")
    assert not any("accounts_usagerecord" in query["sql"] for query in queries)


# --- The bill -----------------------------------------------------------------------------------

BILL: dict[date, Decimal] = {}


def bill(since: date, until: date) -> dict[date, Decimal]:
    """Stands in for Modal's, which the tests of the GPU room read from a control plane."""
    if not BILL:
        raise ConnectionError("Modal does not accept the token: run `modal token new`")
    return {day: usd for day, usd in BILL.items() if since <= day <= until}


@pytest.fixture
def billed(settings: Any) -> Iterator[dict[date, Decimal]]:
    settings.BILL_BY_DAY = f"{__name__}.bill"
    yield BILL
    BILL.clear()


MAY = "since=2026-05-01&until=2026-05-31"


def test_the_ledger_is_held_against_the_bill(
    clerk: Client, used: None, billed: dict[date, Decimal]
) -> None:
    page = clerk.get(f"{PAGE}?{MAY}").content.decode()
    assert "Fetch the bill" in page
    billed |= {date(2026, 5, 4): Decimal("0.001"), date(2026, 5, 9): Decimal("0.03")}
    lines = clerk.get(f"{PAGE}?{MAY}&compare=1").context["compared"]
    # Two recordings of 1.2 s at 0.000275 USD a second; and a day on which a container only idled.
    assert [(line.name, str(line.ledger), str(line.billed), line.percent) for line in lines] == [
        ("2026-05-04", "0.00066", "0.001", 66.0),
        ("2026-05-09", "0", "0.03", 0.0),
        ("Total", "0.00066", "0.031", 2.1),
    ]
    assert lines[0].difference == Decimal("0.00034")


def test_today_is_not_asked_for(alice: User, clerk: Client, billed: dict[date, Decimal]) -> None:
    today = timezone.now()
    record(alice, created_at=today)
    billed[today.date()] = Decimal(1)
    lines = clerk.get(f"{PAGE}?compare=1").context["compared"]
    assert [(line.name, line.billed) for line in lines] == [("Total", 0)]


def test_a_bill_that_cannot_be_read_is_said(
    clerk: Client, used: None, billed: dict[date, Decimal]
) -> None:
    page = clerk.get(f"{PAGE}?{MAY}&compare=1").content.decode()
    assert "The bill could not be read: Modal does not accept the token" in page


def test_without_paid_gpus_there_is_no_bill(alice: User, clerk: Client) -> None:
    record(alice, engine="whisper")
    assert "bill" not in clerk.get(f"{PAGE}?{MAY}").content.decode()
