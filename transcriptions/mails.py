"""What people are written to about: a transcript that took a while, and a quota that runs out."""

from __future__ import annotations

import uuid
from datetime import timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts import letters
from accounts.marks import news
from accounts.models import UsageRecord, User
from accounts.usage import month_of
from transcriptions import tasks
from transcriptions.models import State, Transcription

A_WHILE = timedelta(minutes=3)  # who waited less is still looking at the page
SUBJECTS = {
    80: "80 % of your minutes for this month are used",
    100: "Your minutes for this month are used up",
}


def when_ended(sender: type[Transcription], row: Transcription, **_: Any) -> None:
    """Heard when a recording ends: asks a worker for the letter, after commit."""
    if row.state != State.COMPLETED or row.completed_at is None:
        return
    if row.owner.mail_when_ready and row.completed_at - row.created_at >= A_WHILE:
        transaction.on_commit(partial(tasks.ring, tasks.mail_ready, row.id))


def when_charged(sender: type[UsageRecord], owner: User, **_: Any) -> None:
    """Heard when something was charged: a worker sees whether there is news. It looks after commit,
    so that of two charges at the same moment one sees both."""
    if owner.terms.monthly_minutes:
        transaction.on_commit(partial(tasks.ring, tasks.mail_quota, owner.pk))


def ready(id: uuid.UUID) -> None:
    """The letter about a transcript, if it is still there."""
    row = Transcription.objects.filter(id=id, state=State.COMPLETED).select_related("owner").first()
    if row:
        link = f"{settings.SITE_URL}/transcriptions/{row.id}/"
        subject = f"Your transcript is ready: {row.title}"
        letters.send(row.owner.email, subject, "transcript_ready", row=row, link=link)


def quota(user_id: int) -> None:
    """The letter about a quota, if there is news and the account is still there."""
    user = User.objects.filter(pk=user_id, is_active=True).first()
    if user is None:
        return
    with transaction.atomic():  # told only if the letter has gone: else the next charge tries again
        if mark := news(user, timezone.now()):
            letters.send(user.email, SUBJECTS[mark], "quota", usage=month_of(user), mark=mark)
