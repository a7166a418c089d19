"""The pages "Usage" and "Usage details"."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Outcome, Plan, UsageRecord, User
from accounts.usage import ledger
from transcriptions.models import Transcription
from transcriptions.processing import pipeline
from transcriptions.testing import ScriptedEngine, prepare_again

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "/settings/usage/details/"


def test_details_show_reason_and_recording_of_every_charge(
    browser: Client, bob: User, prepared: Transcription, engine: ScriptedEngine
) -> None:
    assert "No usage this month" in browser.get(PAGE).content.decode()
    engine.before[2] = lambda: 1 / 0
    pipeline.transcribe(prepared.id)
    engine.before.clear()
    assert browser.post(f"/transcriptions/{prepared.id}/retry/").status_code == 302
    prepare_again(prepared)
    pipeline.transcribe(prepared.id)
    content = browser.get(PAGE).content.decode()
    assert content.count("Ten seconds</a>") == 2
    assert "Failed (internal_error). Not charged." in content
    assert "Completed." in content
    assert "0:10" in content
    ledger.correct(UsageRecord.objects.get(billed=True), "Refunded by support.")
    Transcription.objects.get().delete()
    content = browser.get(PAGE).content.decode()
    assert content.count("Deleted recording") == 3
    assert "Refunded by support." in content
    assert "0:10 refunded" in " ".join(content.split())
    stranger = Client()
    stranger.force_login(bob)
    assert "Refunded" not in stranger.get(PAGE).content.decode()


def test_details_show_the_current_month_in_pages(
    browser: Client, alice: User, django_assert_max_num_queries: Any
) -> None:
    def record(reason: str, **fields: Any) -> UsageRecord:
        values = {"user": alice, "outcome": Outcome.COMPLETED, "reason": reason}
        return UsageRecord(transcription=Transcription().id, **values | fields)

    ledger.write_record(record("Long ago.", created_at=timezone.now() - timedelta(days=40)))
    for number in range(60):
        ledger.write_record(record(f"Number {number}."))
    with django_assert_max_num_queries(14):  # for any number of rows
        content = browser.get(PAGE).content.decode()
    assert "Number 59." in content
    assert "Number 9." not in content
    assert "Number 9." in browser.get(f"{PAGE}?page=2").content.decode()
    assert "Long ago." not in browser.get(f"{PAGE}?page=2").content.decode()


def test_usage_page_shows_limits_and_price_of_the_plan(browser: Client, alice: User) -> None:
    assert "Your plan" not in browser.get("/settings/usage/").content.decode()
    alice.plan = Plan.objects.create(
        name="Studio",
        monthly_minutes=1200,
        max_minutes=90,
        max_file_mb=500,
        max_storage_mb=2048,
        price_cents=1250,
    )
    alice.save()
    content = browser.get("/settings/usage/").content.decode()
    facts = [
        "1,200 minutes per month",
        "of 1,200 minutes used, 1,200.0 left",
        "up to 90 minutes",
        "Files up to 500 MB",
        "0 MB of 2 GB storage used",
        "$12.50 per month",
    ]
    assert [words for words in facts if words not in content] == []
