"""Whoever asks what a charge was for finds it, with the reason."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.ledger import Outcome, UsageRecord
from accounts.models import Plan, User
from transcriptions import pipeline
from transcriptions.models import Transcription
from transcriptions.tests.conftest import ScriptedEngine

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "/settings/usage/charges/"


@pytest.fixture
def page(alice: User) -> Client:
    client = Client()
    client.force_login(alice)
    return client


def test_every_charge_has_its_reason_and_its_recording(
    page: Client, bob: User, prepared: Transcription, engine: ScriptedEngine
) -> None:
    assert "No usage this month" in page.get(PAGE).content.decode()
    engine.before[2] = lambda: 1 / 0
    pipeline.transcribe(prepared.id)
    engine.before.clear()
    assert page.post(f"/transcriptions/{prepared.id}/retry/").status_code == 302
    pipeline.transcribe(prepared.id)
    content = page.get(PAGE).content.decode()
    assert content.count("Ten seconds</a>") == 2
    assert "It failed (internal_error): not charged." in content
    assert "The transcript is complete." in content
    assert "0:10" in content
    UsageRecord.objects.get(billed=True).correct("Refunded by support.")
    Transcription.objects.get().delete()
    content = page.get(PAGE).content.decode()
    assert content.count("Deleted recording") == 3
    assert "Refunded by support." in content
    assert "0:10 refunded" in " ".join(content.split())
    stranger = Client()
    stranger.force_login(bob)
    assert "Refunded" not in stranger.get(PAGE).content.decode()


def test_only_this_month_is_shown_in_pages(
    page: Client, alice: User, django_assert_max_num_queries: Any
) -> None:
    def record(reason: str, **fields: Any) -> UsageRecord:
        values = {"user": alice, "outcome": Outcome.COMPLETED, "reason": reason}
        return UsageRecord(transcription=Transcription().id, **values | fields)

    record("Long ago.", created_at=timezone.now() - timedelta(days=40)).write()
    for number in range(60):
        record(f"Number {number}.").write()
    with django_assert_max_num_queries(14):  # however many rows
        content = page.get(PAGE).content.decode()
    assert "Number 59." in content
    assert "Number 9." not in content
    assert "Number 9." in page.get(f"{PAGE}?page=2").content.decode()
    assert "Long ago." not in page.get(f"{PAGE}?page=2").content.decode()


def test_the_plan_is_told_with_its_limits_and_its_price(page: Client, alice: User) -> None:
    assert "Your plan" not in page.get("/settings/usage/").content.decode()
    alice.plan = Plan.objects.create(
        name="Studio", monthly_minutes=600, max_minutes=90, max_file_mb=500, price_cents=1250
    )
    alice.save()
    content = page.get("/settings/usage/").content.decode()
    facts = ["600 minutes per month", "up to 90 minutes", "Files up to 500 MB", "$12.50 per month"]
    assert [words for words in facts if words not in content] == []
