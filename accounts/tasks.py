"""Celery tasks that send emails."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

from celery import shared_task
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.utils.translation import gettext
from kombu.exceptions import OperationalError

from accounts import email
from accounts.models import User

log = logging.getLogger(__name__)

# A mail server may be down for hours; its errors are OSErrors. Twenty retries take about four
# hours. Celery randomizes each delay, so that emails are not all retried at the same time.
email_task = partial(
    shared_task, autoretry_for=(OSError,), retry_backoff=30, retry_backoff_max=1800, max_retries=20
)


def send_later(message: EmailMessage) -> None:
    """Send the email in the background, so that the time of a response does not tell whether one
    was sent. If the broker is unreachable, send it now. Raises OSError if that fails too."""
    html = [content for content, _ in getattr(message, "alternatives", ())]
    content = {"subject": message.subject, "text": str(message.body), "html": html}
    try:
        send_email.apply_async(
            kwargs=content | {"sender": message.from_email, "to": message.to},
            retry=False,
            kwargsrepr="{...}",  # for logs: addresses, and links that reset passwords
        )
    except OperationalError as error:
        log.warning("the broker is unreachable, so an email is sent now: %s", error)
        message.send()


@email_task(name="accounts.tasks.send_email")
def send_email(subject: str, text: str, html: list[str], sender: str, to: list[str]) -> None:
    """Send one email. `html` has at most one element."""
    message = EmailMultiAlternatives(subject, text, sender, to)
    for content in html:
        message.attach_alternative(content, "text/html")
    message.send()


@email_task(name="accounts.tasks.send_sign_in_warning")
def send_sign_in_warning(user_id: int, template: str) -> None:
    """Warn the owner of an account of failed attempts to sign in. `template` says which."""
    user = User.objects.filter(pk=user_id, is_active=True).first()
    if user:
        email.send(user.email, gettext("Failed attempts to sign in to your account"), template)


def warn_later(user: User, template: str) -> None:
    """Enqueue `send_sign_in_warning`. Without a broker there is no warning."""
    arguments: tuple[Any, ...] = (user.pk, template)
    try:
        send_sign_in_warning.apply_async(arguments, retry=False)
    except OperationalError as error:
        log.warning("the broker is unreachable, so a warning is not sent: %s", error)
