"""Celery tasks that send emails."""

from __future__ import annotations

import logging
from functools import partial

from celery import shared_task
from django.core.mail import EmailMessage
from django.db import transaction
from kombu.exceptions import OperationalError

from accounts import outbox

log = logging.getLogger(__name__)


def send_later(message: EmailMessage) -> None:
    """Send the email in the background if the transaction commits: the response time does not
    reveal whether one was sent, and an outage of the mail server or the broker does not lose it."""
    for key in outbox.add(message):
        transaction.on_commit(partial(enqueue, key))


def enqueue(key: int) -> None:
    """Enqueue `send_email`. If the broker is unreachable, `send_due_emails` does it later."""
    try:
        send_email.apply_async((key,), retry=False)
    except OperationalError as error:
        log.warning("the broker is unreachable, so an email is sent later: %s", error)


@shared_task(name="accounts.tasks.send_email")
def send_email(key: int) -> None:
    """See `outbox.send`."""
    outbox.send(key)


@shared_task(name="accounts.tasks.send_due_emails")
def send_due_emails() -> None:
    """Send emails whose task was lost, or whose earlier attempt has failed. If the mail server
    fails again, the others wait: each attempt may take minutes."""
    all(outbox.send(key) for key in outbox.due())
