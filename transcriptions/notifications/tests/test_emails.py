"""Emails: a transcript is ready, and a quota is nearly or completely used."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.test import Client
from django.utils import timezone

from accounts.models import UsageRecord, User
from accounts.tokens import issue_token
from accounts.usage import ledger
from gpu.types import Complete
from transcodio_site.testing import WAIT_S
from transcriptions import queue
from transcriptions.models import State, Transcription
from transcriptions.notifications import emails
from transcriptions.processing import commands, lifecycle, pipeline
from transcriptions.testing import (
    ScriptedEngine,
    add_segment,
    assign_plan,
    run_concurrently,
    set_state,
    use_minutes,
)

pytestmark = pytest.mark.django_db(transaction=True)
SMTP = "django.core.mail.backends.smtp.EmailBackend"
SUBJECT_80_PERCENT = "You have used 80% of your minutes this month"
TEN_SECONDS: dict[str, Any] = {"state": State.PREPARED, "duration": 10.0, "source_bytes": 1}


@pytest.fixture
def eager_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run tasks where they are enqueued."""
    monkeypatch.setattr(queue, "enqueue", lambda task, *args: task(*map(str, args)))


def set_age(minutes: float) -> None:
    """Move the upload of all recordings to `minutes` ago."""
    Transcription.objects.update(created_at=timezone.now() - timedelta(minutes=minutes))


def use_of_ten_minutes(user: User, used_minutes: float) -> None:
    """Give the user a plan of ten minutes a month and charge some of them."""
    assign_plan(user, monthly_minutes=10)
    use_minutes(user, used_minutes)


def html(message: EmailMultiAlternatives) -> str:
    ((content, media_type),) = message.alternatives
    assert media_type == "text/html"
    return str(content)


def test_owner_is_emailed_after_a_long_transcription(
    eager_tasks: None, prepared: Transcription, engine: ScriptedEngine, mailoutbox: Any
) -> None:
    Transcription.objects.update(title="Plans & <b>dates\nBcc: x@example.com")
    set_age(4)
    assert pipeline.transcribe(prepared.id)
    (message,) = mailoutbox
    assert message.to == ["alice@example.com"]
    assert message.subject == "Your transcript is ready: Plans & <b>dates Bcc: x@example.com"
    link = f"http://127.0.0.1:8000/transcriptions/{prepared.id}/"
    assert link in message.body
    assert "“Plans & <b>dates" in message.body
    assert f'href="{link}"' in html(message)
    assert "Plans &amp; &lt;b&gt;dates" in html(message)


def test_no_email_after_a_short_wait_or_if_disabled(
    eager_tasks: None, alice: User, prepared: Transcription, engine: ScriptedEngine, mailoutbox: Any
) -> None:
    assert pipeline.transcribe(prepared.id)
    assert mailoutbox == []
    browser = Client()
    browser.force_login(alice)
    browser.post("/settings/data/", {})  # the checkbox is not checked
    alice.refresh_from_db()
    assert not alice.email_when_ready
    set_state(State.PREPARED, audio="recordings/ten.source")
    set_age(4)
    assert pipeline.transcribe(prepared.id)
    assert mailoutbox == []


@pytest.mark.parametrize(
    ("used", "subjects"),
    [
        (7.0, []),
        (7.9, [SUBJECT_80_PERCENT]),
        (8.1, [SUBJECT_80_PERCENT]),
        (9.84, ["You have used all your minutes for this month"]),
    ],
)
def test_quota_email_is_sent_when_a_threshold_is_reached(
    eager_tasks: None,
    alice: User,
    prepared: Transcription,
    engine: ScriptedEngine,
    mailoutbox: Any,
    used: float,
    subjects: list[str],
) -> None:
    use_of_ten_minutes(alice, used)
    assert pipeline.transcribe(prepared.id)  # ten seconds
    assert [message.subject for message in mailoutbox] == subjects
    for message in mailoutbox:
        assert "reset on" in message.body
        assert "/settings/usage/" in html(message)


def test_charge_of_a_cancellation_can_reach_a_threshold(
    eager_tasks: None, alice: User, prepared: Transcription, engine: ScriptedEngine, mailoutbox: Any
) -> None:
    use_of_ten_minutes(alice, 7.99)
    engine.before[3] = lambda: commands.cancel(Transcription.objects.get())
    pipeline.transcribe(prepared.id)
    assert [message.subject for message in mailoutbox] == [SUBJECT_80_PERCENT]


def test_concurrent_charges_send_one_quota_email(
    eager_tasks: None, alice: User, mailoutbox: Any
) -> None:
    tokens = [issue_token(alice)[0] for _ in range(2)]
    rows = [Transcription.objects.create(owner=alice, token=t, **TEN_SECONDS) for t in tokens]
    use_of_ten_minutes(alice, 7.7)  # neither charge reaches 80% alone
    barrier = threading.Barrier(2)

    def complete(row: Transcription) -> None:
        with transaction.atomic():
            lifecycle.mark_completed(row, Complete(10.0, 0.1))
            barrier.wait(WAIT_S)

    claimed = [lifecycle.claim(row.id, State.TRANSCRIBING) for row in rows]
    for row in claimed:
        assert row
        add_segment(row, 1)
    run_concurrently(*[lambda row=row: complete(row) for row in claimed])
    assert [message.subject for message in mailoutbox] == [SUBJECT_80_PERCENT]


def test_each_threshold_is_emailed_once_a_month(
    eager_tasks: None, alice: User, prepared: Transcription, engine: ScriptedEngine, mailoutbox: Any
) -> None:
    use_of_ten_minutes(alice, 7.9)
    assert pipeline.transcribe(prepared.id)
    ledger.correct(UsageRecord.objects.latest("id"), "A mistake.")
    emails.send_quota_notice(alice.pk)
    use_minutes(alice, 0.2)
    emails.send_quota_notice(alice.pk)
    assert [message.subject for message in mailoutbox] == [SUBJECT_80_PERCENT]
    use_minutes(alice, 2)
    for _ in range(2):
        emails.send_quota_notice(alice.pk)
    assert [message.subject for message in mailoutbox[1:]] == [
        "You have used all your minutes for this month"
    ]
    after_reset = ["again after the reset" in str(m.body) for m in mailoutbox]
    assert after_reset == ["again after the reset" in html(m) for m in mailoutbox] == [False, True]


def test_no_email_about_the_quota_of_a_deleted_account(db: None, mailoutbox: Any) -> None:
    emails.send_quota_notice(0)
    assert mailoutbox == []
