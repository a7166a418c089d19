"""Usage of the current month, over REST and on the settings page."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Outcome, Plan, UsageRecord, User
from accounts.tokens import issue_token
from accounts.usage import ledger
from accounts.usage.tests.helpers import record_usage


@pytest.fixture
def user(alice: User) -> User:
    """Alice, with two minutes used on a plan of ten."""
    alice.plan = Plan.objects.create(name="Small", monthly_minutes=10)
    alice.save()
    record_usage(alice, audio_ms=90_500)
    record_usage(alice, audio_ms=30_000)
    record_usage(alice, outcome=Outcome.FAILED, billed=False, audio_ms=0)
    record_usage(alice, audio_ms=600_000, created_at=datetime(2020, 1, 1, tzinfo=UTC))
    return alice


def test_rest_usage_is_of_this_month_and_of_the_user(user: User, bob: User, token_of: Any) -> None:
    response = Client(headers=token_of(user)).get("/api/usage")
    body = response.json()
    assert (body["plan"], body["audio_seconds"], body["jobs"]) == ("Small", 120.5, 3)
    assert (body["quota_seconds"], body["remaining_seconds"]) == (600.0, 479.5)
    today = timezone.now().date()
    assert body["period_start"] == today.replace(day=1).isoformat()
    assert body["resets_on"] > today.isoformat()
    assert body["days"] == [{"date": today.isoformat(), "audio_seconds": 120.5, "jobs": 3}]
    other = Client(headers=token_of(bob)).get("/api/usage").json()
    assert (other["audio_seconds"], other["quota_seconds"], other["days"]) == (0, None, [])


def test_recording_with_several_attempts_counts_once(alice: User, token_of: Any) -> None:
    row = record_usage(alice, outcome=Outcome.FAILED, billed=False)
    for outcome in (Outcome.INTERRUPTED, Outcome.COMPLETED):
        record_usage(alice, transcription=row.transcription, outcome=outcome)
    ledger.correct(UsageRecord.objects.get(outcome=Outcome.COMPLETED), "A mistake.")
    usage = Client(headers=token_of(alice)).get("/api/usage").json()
    assert (usage["jobs"], usage["days"][0]["jobs"]) == (1, 1)


def test_remaining_seconds_are_exact(alice: User, token_of: Any) -> None:
    alice.plan = Plan.objects.create(name="Small", monthly_minutes=1)
    alice.save()
    record_usage(alice, audio_ms=43_806)
    usage = Client(headers=token_of(alice)).get("/api/usage").json()
    assert (usage["audio_seconds"], usage["remaining_seconds"]) == (43.806, 16.194)


def test_refund_for_an_earlier_month_never_makes_usage_negative(
    user: User, client: Client, token_of: Any
) -> None:
    ledger.correct(UsageRecord.objects.get(created_at__year=2020), "A mistake.")
    usage = Client(headers=token_of(user)).get("/api/usage").json()
    assert (usage["audio_seconds"], usage["remaining_seconds"]) == (0, 600)
    assert [day["audio_seconds"] for day in usage["days"]] == [0]
    client.force_login(user)
    page = client.get("/settings/usage/").content.decode()
    assert "<strong>0.0</strong> of 10 minutes used, 10.0 left" in page
    assert "-" not in "".join(re.findall(r'(?:value|max)="([^"]*)"', page))


def test_rest_usage_requires_the_usage_scope(user: User) -> None:
    for scopes, status in ((["usage:read"], 200), (["transcriptions:read"], 403)):
        _, secret = issue_token(user, scopes=scopes)
        client = Client(headers={"Authorization": f"Bearer {secret}"})
        assert client.get("/api/usage").status_code == status


def test_usage_page_shows_used_and_remaining_minutes(user: User, client: Client) -> None:
    client.force_login(user)
    page = client.get("/settings/usage/").content.decode()
    for text in ("<strong>2.0</strong> of 10 minutes used, 8.0 left", "Small", "3 recordings"):
        assert text in page, text


def test_usage_page_lists_only_days_with_usage(user: User, client: Client) -> None:
    first = timezone.now().replace(day=1)
    record_usage(user, outcome=Outcome.FAILED, billed=False, audio_ms=0, created_at=first)
    client.force_login(user)
    table = client.get("/settings/usage/").content.decode().split('<table class="days">')[1]
    assert re.findall(r'<td class="number">(.*?)</td>', table) == ["2:00"]
    assert table.count('<th scope="row">') == table.count("<meter") == 1
