"""Letters: about a transcript that took a while, and a quota that runs out."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.test import Client
from django.utils import timezone

from accounts.models import ApiToken, Plan, UsageRecord, User
from gpu.types import Complete
from transcodio_site.testing import WAIT_S
from transcriptions import actions, mails, pipeline, tasks
from transcriptions.models import State, Transcription
from transcriptions.tests.conftest import ScriptedEngine, spoken
from transcriptions.tests.test_quotas import together, use

pytestmark = pytest.mark.django_db(transaction=True)
SMTP = "django.core.mail.backends.smtp.EmailBackend"
EIGHTY = "80 % of your minutes for this month are used"
TEN: dict[str, Any] = {"state": State.PREPARED, "duration": 10.0, "source_bytes": 1}


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The workers' part is done where it is rung for."""
    monkeypatch.setattr(tasks, "ring", lambda task, *given: task(*map(str, given)))


def waited(minutes: float) -> None:
    Transcription.objects.update(created_at=timezone.now() - timedelta(minutes=minutes))


def small(user: User, used: float) -> None:
    user.plan = Plan.objects.create(name="Small", monthly_minutes=10)
    user.save()
    use(user, used)


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
        (7.9, [EIGHTY]),
        (8.1, [EIGHTY]),
        (9.84, ["Your minutes for this month are used up"]),
    ],
)
def test_a_quota_is_told_of_when_a_mark_is_reached(
    at_once: None,
    alice: User,
    prepared: Transcription,
    engine: ScriptedEngine,
    mailoutbox: Any,
    used: float,
    subjects: list[str],
) -> None:
    small(alice, used)
    assert pipeline.transcribe(prepared.id)  # ten seconds
    assert [letter.subject for letter in mailoutbox] == subjects
    for letter in mailoutbox:
        assert "renew on" in letter.body
        assert "/settings/usage/" in html(letter)


def test_a_cancellation_that_reaches_a_mark_tells_of_it_too(
    at_once: None, alice: User, prepared: Transcription, engine: ScriptedEngine, mailoutbox: Any
) -> None:
    small(alice, 7.99)
    engine.before[3] = lambda: actions.cancel(Transcription.objects.get())
    pipeline.transcribe(prepared.id)
    assert [letter.subject for letter in mailoutbox] == [EIGHTY]


def test_two_charges_at_the_same_moment_tell_of_it_once(
    at_once: None, alice: User, mailoutbox: Any
) -> None:
    tokens = [ApiToken.issue(alice)[0] for _ in range(2)]
    rows = [Transcription.objects.create(owner=alice, token=t, **TEN) for t in tokens]
    small(alice, 7.7)  # neither of them reaches it alone
    both = threading.Barrier(2)

    def complete(row: Transcription) -> None:
        with transaction.atomic():
            row.completed(Complete(10.0, 0.1))
            both.wait(WAIT_S)

    claimed = [Transcription.objects.claim(row.id, State.TRANSCRIBING) for row in rows]
    for row in claimed:
        assert row
        row.add_segment(spoken(1))
    together(*[lambda row=row: complete(row) for row in claimed])
    assert [letter.subject for letter in mailoutbox] == [EIGHTY]


def test_a_mark_is_told_of_once_a_month(
    at_once: None, alice: User, prepared: Transcription, engine: ScriptedEngine, mailoutbox: Any
) -> None:
    small(alice, 7.9)
    assert pipeline.transcribe(prepared.id)
    UsageRecord.objects.latest("id").correct("A mistake.")
    mails.quota(alice.pk)
    use(alice, 0.2)
    mails.quota(alice.pk)
    assert [letter.subject for letter in mailoutbox] == [EIGHTY]
    use(alice, 2)
    for _ in range(2):
        mails.quota(alice.pk)
    assert [letter.subject for letter in mailoutbox[1:]] == [
        "Your minutes for this month are used up"
    ]


def test_a_letter_that_cannot_be_sent_is_tried_again(
    alice: User, mailoutbox: Any, settings: Any
) -> None:
    small(alice, 9)
    backend, settings.EMAIL_BACKEND = settings.EMAIL_BACKEND, SMTP
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    with pytest.raises(OSError, match="refused"):
        mails.quota(alice.pk)
    settings.EMAIL_BACKEND = backend
    mails.quota(alice.pk)
    assert [letter.subject for letter in mailoutbox] == [EIGHTY]


def test_a_mail_server_that_is_away_loses_no_letter(
    prepared: Transcription,
    engine: ScriptedEngine,
    mailoutbox: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pipeline.transcribe(prepared.id)
    send, refusals = EmailMultiAlternatives.send, iter([ConnectionRefusedError()] * 20)

    def unreliable(self: EmailMultiAlternatives) -> int:
        for refusal in refusals:
            raise refusal
        return send(self)

    monkeypatch.setattr(EmailMultiAlternatives, "send", unreliable)
    tasks.mail_ready.apply(args=[str(prepared.id)])
    assert len(mailoutbox) == 1


def test_what_is_gone_by_then_is_not_written_about(alice: User, mailoutbox: Any) -> None:
    mails.ready(Transcription(owner=alice).id)
    mails.quota(0)
    assert mailoutbox == []
