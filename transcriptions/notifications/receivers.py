"""Receivers of signals, which send emails after commit."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

from django.db import transaction

from accounts.models import UsageRecord, User
from transcriptions import queue
from transcriptions.models import LiveSession, State, Transcription
from transcriptions.notifications import emails, tasks

MIN_WAIT = timedelta(minutes=3)  # after a shorter wait the page is probably still open


def send_transcript_ready(sender: type[Transcription], row: Transcription, **_: Any) -> None:
    """Receiver of `transcription_finished`: emails owners who want it and had to wait."""
    if row.state != State.COMPLETED or row.completed_at is None:
        return
    session = LiveSession.objects.filter(pk=row.pk).first()
    since = row.created_at if session is None else session.ended_at or row.created_at
    if row.owner.email_when_ready and row.completed_at - since >= MIN_WAIT:
        emails.send_transcript_ready(row)


def enqueue_quota_notice(sender: type[UsageRecord], owner: User, **_: Any) -> None:
    """Receiver of `usage_charged`. The task checks the quota after commit: before it, two
    concurrent charges that reach a threshold together do not see each other."""
    if owner.effective_plan.monthly_minutes:
        transaction.on_commit(partial(queue.enqueue, tasks.send_quota_notice, owner.pk))
