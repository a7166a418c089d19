"""Usage and cost review: what staff see adds up to what the ledger holds."""

from __future__ import annotations

import csv
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

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
    for column in ("jobs", "failures", "cold_starts"):
        parts = sum(int(row[column]) for name, row in found.items() if name != "Total")
        assert parts == int(found["Total"][column])


def test_the_figures_are_those_of_the_ledger(used: None, clerk: Client) -> None:
    alice = lines(clerk, "by=user")["alice@example.com"]
    assert alice == {
        "user": "alice@example.com",
        "jobs": "2",
        "failures": "0",
        "audio_minutes": "2.0",
        "gpu_seconds": "2.4",
        "real_time_factor": "0.02",
        "cold_starts": "1",
        "cost_usd": "0.00033",
        "usd_per_audio_minute": "0.000165",
    }


def test_filters_narrow_it_down(used: None, clerk: Client) -> None:
    assert lines(clerk, "user=BOB@example.com")["Total"]["jobs"] == "2"
    assert lines(clerk, "engine=whisper")["Total"]["jobs"] == "1"
    assert lines(clerk, "since=2026-05-05")["Total"]["jobs"] == "1"


def test_a_name_is_no_formula(alice: User, clerk: Client) -> None:
    User.objects.filter(pk=alice.pk).update(email="=cmd()@example.com")
    record(alice)
    assert "'=cmd()@example.com" in lines(clerk, "by=user")


def test_the_page_shows_a_bar_for_each_day_and_what_plans_bring_in(
    used: None, alice: User, clerk: Client
) -> None:
    alice.plan = Plan.objects.create(name="Studio", price_cents=1900)
    alice.save()
    page = clerk.get(f"{PAGE}?since=2026-05-01&until=2026-05-31").content.decode()
    assert page.count("<rect ") == 31
    assert "4 May 2026: 3.0 min" in page
    assert "Studio" in page
    assert "19.00" in page


def test_without_any_usage_it_says_so(clerk: Client) -> None:
    assert "Nothing was used in this time." in clerk.get(PAGE).content.decode()
    assert clerk.get(f"{PAGE}?since=tomorrow").status_code == 200


def test_it_reads_days_and_never_the_ledger(
    used: None, clerk: Client, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(16) as queries:  # the session's own included
        clerk.get(f"{PAGE}?by=user&since=2026-05-01&until=2026-05-31")
    assert not any("accounts_usagerecord" in query["sql"] for query in queries)
