"""Quotas and the ledger under concurrent requests, workers and commands."""

from __future__ import annotations

import threading
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client

from accounts.models import Plan, UsageDay, User
from transcodio_site.testing import WAIT_S, Media
from transcriptions.editing.tests.helpers import run_behind_lock
from transcriptions.models import State, Transcription
from transcriptions.processing import pipeline
from transcriptions.testing import (
    MP3,
    Headers,
    Upload,
    assign_plan,
    charged_ms,
    run_concurrently,
    send,
    stored_files,
    use_minutes,
)
from transcriptions.usage import quotas
from transcriptions.usage.quotas import QuotaExceeded

pytestmark = pytest.mark.django_db(transaction=True)

URL = "/api/transcriptions"


def test_concurrent_uploads_cannot_exceed_max_jobs(
    alice: User, token_of: Headers, folders: None, settings: Any
) -> None:
    assign_plan(alice, max_jobs=3)
    headers = token_of(alice)
    for _ in range(2):
        assert send(Client(headers=headers), URL, MP3, "a.mp3").status_code == 202
    responses = run_concurrently(
        *[lambda: send(Client(headers=headers), URL, MP3, "a.mp3") for _ in range(4)]
    )
    assert sorted(response.status_code for response in responses) == [202, 429, 429, 429]
    refused = next(response for response in responses if response.status_code == 429)
    assert refused.json()["code"] == "too_many_jobs"
    assert "Your plan (Small) allows 3 recordings at a time." in refused.json()["detail"]
    assert Transcription.objects.count() == len(stored_files(settings)) == 3


def test_concurrent_recordings_cannot_exceed_the_minutes_left(
    alice: User, upload: Upload, media: Media
) -> None:
    assign_plan(alice, monthly_minutes=10)
    use_minutes(alice, 9.85)  # leaves 9 s: enough for one of them
    rows = [upload(media.speech("speech.mp3", 6)) for _ in range(2)]
    prepared = run_concurrently(*[lambda row=row: pipeline.preprocess(row.id) for row in rows])
    assert sorted(prepared) == [False, True]
    states = Transcription.objects.order_by("state").values_list("state", flat=True)
    assert list(states) == [State.FAILED, State.PREPARED]


def is_lock_awaited(table: str) -> bool:
    """Whether another connection waits for a lock of this table."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT FROM pg_locks WHERE relation = %s::regclass AND NOT granted", [table]
        )
        return bool(cursor.rowcount)


def test_rebuild_usage_waits_for_concurrent_writers(alice: User) -> None:
    """Nothing is counted twice or left out."""
    use_minutes(alice, 1)
    UsageDay.objects.update(billed_ms=7)
    output, writing, rebuilt = StringIO(), threading.Event(), threading.Event()

    def write() -> None:
        with transaction.atomic():
            use_minutes(alice, 2)
            writing.set()
            while not is_lock_awaited("accounts_usagerecord"):
                assert not rebuilt.is_set()

    def rebuild() -> None:
        assert writing.wait(WAIT_S)
        call_command("rebuild_usage", stdout=output)
        rebuilt.set()

    run_concurrently(write, rebuild)
    assert charged_ms(alice) == 180_000
    assert "1 rows did not match the ledger" in output.getvalue()
    call_command("rebuild_usage", stdout=output)
    assert "All daily rows match the ledger" in output.getvalue()


@pytest.mark.covers("fault", "A plan is changed while an upload waits for the account")
def test_upload_is_checked_against_the_plan_of_the_locked_account(
    alice: User, prepared: Transcription
) -> None:
    assign_plan(alice, monthly_minutes=10)
    plan = Plan.objects.create(name="Used up", monthly_minutes=0)
    row = Transcription.objects.select_related("owner__plan").get()
    refused: list[QuotaExceeded] = []

    def admit() -> None:
        try:
            with transaction.atomic():
                quotas.admit(row)
        except QuotaExceeded as error:
            refused.append(error)

    run_behind_lock(lambda: User.objects.update(plan=plan), admit)
    assert len(refused) == 1
