"""What people are written to about: a transcript that took a while, and a quota that runs out."""

from __future__ import annotations

import uuid
from datetime import timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction

from accounts import ledger, letters
from accounts.models import User
from accounts.usage import month_of
from transcriptions import tasks
from transcriptions.models import State, Transcription

A_WHILE = timedelta(minutes=3)  # who waited less is still looking at the page
MARKS = (80, 100)  # percent of the month's quota


def when_ended(sender: type[Transcription], row: Transcription, **_: Any) -> None:
    """Heard when a recording ends: asks a worker for the letters, after commit."""
    if row.state != State.COMPLETED or row.completed_at is None:
        return
    if row.owner.mail_when_ready and row.completed_at - row.created_at >= A_WHILE:
        transaction.on_commit(partial(tasks.ring, tasks.mail_ready, row.id))
    for mark in _passed(row):
        transaction.on_commit(partial(tasks.ring, tasks.mail_quota, row.owner_id, mark))


def _passed(row: Transcription) -> list[int]:
    """The marks that this recording's charge has gone over."""
    minutes = row.owner.terms.monthly_minutes
    if not minutes or row.completed_at is None:
        return []
    charged = row.owner.usage.filter(transcription=row.id, billed=True).order_by("-id").first()
    after = ledger.billed_ms(row.owner_id, row.completed_at)
    before = after - (charged.audio_ms if charged else 0)
    quota = minutes * 60_000
    return [mark for mark in MARKS if before * 100 < mark * quota <= after * 100]


def ready(id: uuid.UUID) -> None:
    """The letter about a transcript, if it is still there."""
    row = Transcription.objects.filter(id=id, state=State.COMPLETED).select_related("owner").first()
    if row:
        link = f"{settings.SITE_URL}/transcriptions/{row.id}/"
        subject = f"Your transcript is ready: {row.title}"
        letters.send(row.owner.email, subject, "ready", row=row, link=link)


def quota(user_id: int, mark: int) -> None:
    """The letter about a quota, if the account is still there."""
    user = User.objects.filter(pk=user_id, is_active=True).first()
    if user:
        subject = (
            "Your minutes for this month are used up"
            if mark >= 100
            else f"{mark} % of your minutes for this month are used"
        )
        letters.send(user.email, subject, "quota", usage=month_of(user), mark=mark)
