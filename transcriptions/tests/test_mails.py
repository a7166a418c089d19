"""Letters: about a transcript that took a while, and a quota that runs out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.mail import EmailMultiAlternatives
from django.test import Client
from django.utils import timezone

from accounts.models import Plan, User
from transcriptions import mails, pipeline, tasks
from transcriptions.models import Transcription
from transcriptions.tests.conftest import ScriptedEngine
from transcriptions.tests.test_quotas import use

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The workers' part is done where it is rung for."""
    monkeypatch.setattr(tasks, "ring", lambda task, *given: task(*map(str, given)))


def waited(minutes: float) -> None:
    Transcription.objects.update(created_at=timezone.now() - timedelta(minutes=minutes))


def html(letter: EmailMultiAlternatives) -> str:
    ((content, media_type),) = letter.alternatives
    assert media_type == "text/html"
    return str(content)


def test_who_has_waited_is_written_to(
    at_once: None, prepared: Transcription, engine: ScriptedEngine, mailoutbox: Any
) -> None:
    Transcription.objects.update(title="Plans & <b>dates\nBcc: x@example.com")
    waited(4)
    assert pipeline.transcribe(prepared.id)
    (letter,) = mailoutbox
    assert letter.to == ["alice@example.com"]
    assert letter.subject == "Your transcript is ready: Plans & <b>dates Bcc: x@example.com"
    link = f"http://127.0.0.1:8000/transcriptions/{prepared.id}/"
    assert link in letter.body
    assert "“Plans & <b>dates" in letter.body
    assert f'href="{link}"' in html(letter)
    assert "Plans &amp; &lt;b&gt;dates" in html(letter)


def test_who_has_not_waited_or_does_not_want_it_is_left_alone(
    at_once: None, alice: User, prepared: Transcription, engine: ScriptedEngine, mailoutbox: Any
) -> None:
    assert pipeline.transcribe(prepared.id)
    assert mailoutbox == []
    browser = Client()
    browser.force_login(alice)
    browser.post("/settings/data/", {})  # the box is not ticked
    alice.refresh_from_db()
    assert not alice.mail_when_ready
    Transcription.objects.update(state="prepared")
    waited(4)
    assert pipeline.transcribe(prepared.id)
    assert mailoutbox == []


@pytest.mark.parametrize(
    ("used", "subjects"),
    [
        (7.0, []),
        (7.9, ["80 % of your minutes for this month are used"]),
        (8.1, []),
        (9.84, ["Your minutes for this month are used up"]),
    ],
)
def test_a_quota_is_told_of_when_a_mark_is_passed(
    at_once: None,
    alice: User,
    prepared: Transcription,
    engine: ScriptedEngine,
    mailoutbox: Any,
    used: float,
    subjects: list[str],
) -> None:
    alice.plan = Plan.objects.create(name="Small", monthly_minutes=10)
    alice.save()
    use(alice, used)
    assert pipeline.transcribe(prepared.id)  # ten seconds
    assert [letter.subject for letter in mailoutbox] == subjects
    for letter in mailoutbox:
        assert "renew on" in letter.body
        assert "/settings/usage/" in html(letter)


def test_what_is_gone_by_then_is_not_written_about(alice: User, mailoutbox: Any) -> None:
    mails.ready(Transcription(owner=alice).id)
    mails.quota(0, 80)
    assert mailoutbox == []
