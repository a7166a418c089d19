"""The emails that wait in the database, and how they are sent.

An email is sent twice if a worker dies after sending it and before deleting it.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import OutgoingEmail

log = logging.getLogger(__name__)

SEND_S = 300  # after which an attempt has failed, because its worker has died
RETRY_S, MAX_RETRY_S = 30, 1800  # before the second attempt, doubled each time; before later ones
GIVEN_UP_AFTER = timedelta(hours=4)  # how long a mail server may be down
MAX_ATTEMPTS = 20  # more than there are in this time
MAX_DUE = 500  # emails in one call


def add(message: EmailMessage) -> list[int]:
    """Store the email, once for each recipient, and return the keys of the rows. It is sent if the
    transaction commits."""
    html = [str(content) for content, _ in getattr(message, "alternatives", ())]
    rows = [
        OutgoingEmail(
            to=to,
            sender=message.from_email,
            subject=str(message.subject),
            text=str(message.body),
            html="".join(html[:1]),
        )
        for to in message.to
    ]
    return [row.pk for row in OutgoingEmail.objects.bulk_create(rows)]


def due() -> list[int]:
    """The keys of the emails to be sent now, the oldest first."""
    rows = OutgoingEmail.objects.filter(due_at__lte=Now()).order_by("due_at")
    return list(rows.values_list("pk", flat=True)[:MAX_DUE])


def send(key: int) -> bool:
    """Send an email if it is due and nobody else is sending it. Return False if the mail server
    fails: the email becomes due again later, or is given up after GIVEN_UP_AFTER."""
    row = _claim(key)
    if row is None:
        return True
    if row.attempts > MAX_ATTEMPTS:  # they ended with other errors, or killed their workers
        log.error("%s is given up after %d attempts", row, MAX_ATTEMPTS)
        row.delete()
        return True
    try:
        _message(row).send()
    except OSError as error:  # smtplib's errors are subclasses
        _postpone(row, error)
        return False
    row.delete()
    return True


def _claim(key: int) -> OutgoingEmail | None:
    with transaction.atomic():
        rows = OutgoingEmail.objects.select_for_update(skip_locked=True)
        row = rows.filter(pk=key, due_at__lte=Now()).first()
        if row:
            row.attempts += 1
            row.due_at = timezone.now() + timedelta(seconds=SEND_S)
            row.save(update_fields=["attempts", "due_at"])
        return row


def _message(row: OutgoingEmail) -> EmailMessage:
    message = EmailMultiAlternatives(row.subject, row.text, row.sender, [row.to])
    if row.html:
        message.attach_alternative(row.html, "text/html")
    return message


def _postpone(row: OutgoingEmail, error: OSError) -> None:
    reason = type(error).__name__  # its text may quote the address
    if timezone.now() - row.created_at > GIVEN_UP_AFTER:
        log.error("%s is given up after %d attempts: %s", row, row.attempts, reason)
        row.delete()
        return
    seconds = min(RETRY_S * 2 ** (row.attempts - 1), MAX_RETRY_S)
    log.warning("%s could not be sent, next attempt in %d s: %s", row, seconds, reason)
    due_at = timezone.now() + timedelta(seconds=seconds)
    OutgoingEmail.objects.filter(pk=row.pk).update(due_at=due_at)
