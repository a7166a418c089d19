"""Emails wait in the database until they are sent, whatever fails in between."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from celery import current_app
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.db.models import F
from django.test import Client
from django.utils import timezone
from kombu.exceptions import OperationalError

from accounts import outbox, tasks
from accounts.account_deletion import finish
from accounts.models import OutgoingEmail, User
from accounts.tasks import send_later

pytestmark = pytest.mark.django_db(transaction=True)
SMTP = "django.core.mail.backends.smtp.EmailBackend"
UNKNOWN = "nobody@example.com"


@pytest.fixture(autouse=True)
def in_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in an installation; other tests send emails immediately."""
    monkeypatch.setattr(tasks, "send_later", send_later)


@pytest.fixture
def mail_server_down(settings: Any) -> None:
    settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = SMTP, "127.0.0.1", 1


def message(to: str = "alice@example.com") -> EmailMultiAlternatives:
    made = EmailMultiAlternatives("Hello", "Some text", "site@example.com", [to])
    made.attach_alternative("<p>Some text</p>", "text/html")
    return made


def make_due(**values: Any) -> None:
    OutgoingEmail.objects.update(due_at=timezone.now() - timedelta(seconds=1), **values)


def recipients() -> list[list[str]]:
    return [sent.to for sent in mail.outbox]


def test_request_does_not_wait_for_the_mail_server(alice: User, client: Client) -> None:
    for email in (alice.email, UNKNOWN):
        answer = client.post("/accounts/password/reset/", {"email": email})
        assert answer.status_code == 302
    assert mail.outbox == []
    assert OutgoingEmail.objects.count() == 2


def test_email_is_sent_as_it_was_written() -> None:
    send_later(message())
    tasks.send_email(OutgoingEmail.objects.get().pk)
    (sent,) = mail.outbox
    assert (sent.subject, sent.body, sent.from_email) == ("Hello", "Some text", "site@example.com")
    assert isinstance(sent, EmailMultiAlternatives)
    assert [tuple(each) for each in sent.alternatives] == [("<p>Some text</p>", "text/html")]
    assert not OutgoingEmail.objects.exists()


@pytest.mark.covers("fault", "Valkey is emptied while emails wait to be sent")
def test_emptied_broker_loses_no_email_and_a_late_task_sends_none_twice() -> None:
    send_later(message())
    queue = current_app.amqp.router.route({}, tasks.send_email.name)["queue"].name
    with current_app.connection_for_write() as broker:
        channel: Any = broker.default_channel
        assert channel.client.delete(queue)
    key = OutgoingEmail.objects.get().pk
    tasks.send_due_emails()
    tasks.send_email(key)
    assert recipients() == [["alice@example.com"]]


def test_broker_that_is_away_delays_the_email(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr(tasks.send_email, "apply_async", fail)
    send_later(message())
    assert "the broker is unreachable" in caplog.text
    assert "alice" not in caplog.text
    tasks.send_due_emails()
    assert recipients() == [["alice@example.com"]]


def test_change_that_is_not_stored_sends_no_email() -> None:
    with transaction.atomic():
        send_later(message())
        transaction.set_rollback(True)
    tasks.send_due_emails()
    assert mail.outbox == []


@pytest.mark.covers("fault", "The mail server is down for an hour")
def test_email_is_sent_when_the_mail_server_is_back(
    settings: Any, mail_server_down: None, caplog: pytest.LogCaptureFixture
) -> None:
    working = "django.core.mail.backends.locmem.EmailBackend"
    send_later(message())
    delays = []
    for _ in range(9):
        make_due()
        tasks.send_due_emails()
        row = OutgoingEmail.objects.get()
        delays.append(round((row.due_at - timezone.now()).total_seconds(), -1))
    assert delays == [30, 60, 120, 240, 480, 960, 1800, 1800, 1800]
    assert outbox.due() == []
    settings.EMAIL_BACKEND = working
    make_due()
    tasks.send_due_emails()
    assert recipients() == [["alice@example.com"]]
    assert "alice" not in caplog.text


def test_email_is_given_up_after_four_hours(
    mail_server_down: None, caplog: pytest.LogCaptureFixture
) -> None:
    send_later(message())
    make_due(created_at=timezone.now() - timedelta(hours=4, minutes=1))
    tasks.send_due_emails()
    assert not OutgoingEmail.objects.exists()
    assert "is given up after 1 attempts: ConnectionRefusedError" in caplog.text


def test_other_emails_wait_while_the_mail_server_fails(mail_server_down: None) -> None:
    for _ in range(3):
        send_later(message())
    tasks.send_due_emails()
    assert sorted(OutgoingEmail.objects.values_list("attempts", flat=True)) == [0, 0, 1]


def test_email_of_a_worker_that_died_is_sent_later(monkeypatch: pytest.MonkeyPatch) -> None:
    send_later(message())
    key = OutgoingEmail.objects.get().pk
    assert outbox._claim(key)  # and the worker dies
    assert outbox.send(key)
    assert mail.outbox == []
    OutgoingEmail.objects.update(due_at=F("due_at") - timedelta(seconds=outbox.SEND_S))
    tasks.send_due_emails()
    assert len(mail.outbox) == 1


@pytest.mark.covers("fault", "Every worker that sends an email is killed")
def test_email_that_kills_workers_is_given_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def killed(self: EmailMultiAlternatives) -> int:
        raise SystemExit

    monkeypatch.setattr(EmailMultiAlternatives, "send", killed)
    send_later(message())
    for _ in range(outbox.MAX_ATTEMPTS):
        make_due()
        with pytest.raises(SystemExit):
            tasks.send_due_emails()
    make_due()
    tasks.send_due_emails()
    assert not OutgoingEmail.objects.exists()
    assert "is given up after 20 attempts" in caplog.text


def test_email_that_one_worker_is_sending_is_not_sent_by_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    send, attempts = EmailMultiAlternatives.send, []

    def send_slowly(self: EmailMultiAlternatives) -> int:
        attempts.append(self)
        tasks.send_due_emails()  # of another worker
        return send(self)

    monkeypatch.setattr(EmailMultiAlternatives, "send", send_slowly)
    send_later(message())
    tasks.send_email(OutgoingEmail.objects.get().pk)
    assert len(attempts) == len(mail.outbox) == 1


def test_deleted_account_gets_no_waiting_email(alice: User) -> None:
    send_later(message(alice.email))
    send_later(message(UNKNOWN))
    EmailAddress.objects.create(user=alice, email=alice.email)
    finish(alice.pk, notify=False)
    tasks.send_due_emails()
    assert recipients() == [[UNKNOWN]]
