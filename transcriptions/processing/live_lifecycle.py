"""Transitions of live sessions: see `transcriptions.processing.live`."""

from __future__ import annotations

import uuid
from datetime import timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Sum
from django.db.models.functions import Now

from gpu.types import Complete, UsageDelta
from transcriptions.models import (
    EndReason,
    LiveSession,
    Priority,
    State,
    Transcription,
)
from transcriptions.processing import lifecycle
from transcriptions.realtime.messages import LiveEnded, event_channel
from transcriptions.realtime.publisher import publisher
from transcriptions.usage import metering


def claim(transcription_id: uuid.UUID, worker: str = "") -> Transcription | None:
    """Claim a session. Return None if it is not waiting, or is no longer live."""
    live = Transcription.objects.filter(id=transcription_id, priority=Priority.LIVE)
    if not live.exists():
        return None
    row = lifecycle.claim(transcription_id, State.TRANSCRIBING, worker)
    if row:
        LiveSession.objects.filter(pk=row.pk).update(parked_at=None)
    return row


def park(row: Transcription, received_bytes: int, commits: int, meter: Complete) -> bool:
    """Leave a session whose audio has been recognized, until more comes or it is idle for too long.
    False if more has come meanwhile: then it waits for a worker. Raises LeaseLost."""
    with transaction.atomic():
        lifecycle.lock_held(row)
        session = LiveSession.objects.select_for_update().get(pk=row.pk)
        is_known = (session.received_bytes, session.commits) == (received_bytes, commits)
        is_parked = is_known and session.ended_at is None
        LiveSession.objects.filter(pk=row.pk).update(
            recognized_bytes=received_bytes,
            heard_commit=commits,
            parked_at=Now() if is_parked else None,
        )
        metering.take_unbilled_usage(row)  # the meter includes it
        row.unsaved_usage = UsageDelta(
            meter.decode_seconds, meter.gpu, meter.queue_seconds, meter.load_seconds
        )
        idle_until = Now() + timedelta(seconds=settings.LIVE_IDLE_SECONDS)
        lifecycle.return_to_queue(
            row,
            "Paused: no audio comes" if is_parked else "Interrupted: more audio has come",
            not_before=idle_until if is_parked else None,
            decode_seconds=F("decode_seconds") + meter.decode_seconds,
            speech_seconds=F("speech_seconds") + meter.audio_seconds,
            **lifecycle.PROGRESS,
        )
    return is_parked


def mark_heard(row: Transcription, commit: int) -> None:
    """All audio before this commit is recognized, and its segments are stored."""
    LiveSession.objects.filter(pk=row.pk, heard_commit__lt=commit).update(heard_commit=commit)


def unpark(transcription_id: uuid.UUID) -> None:
    """Make a released session available to workers again."""
    with transaction.atomic():
        rows = Transcription.objects.filter(id=transcription_id, state=State.PREPARED)
        if row := rows.select_for_update(no_key=True).first():
            LiveSession.objects.filter(pk=row.pk).update(parked_at=None)
            lifecycle.update_progress(row, lease_until=None)


def end(row: Transcription, reason: EndReason, detail: str = "") -> bool:
    """Accept no more audio: what has come is recognized, and the recording completed. `detail` is
    for the owner. False if the session has ended before."""
    sessions = LiveSession.objects.filter(pk=row.pk, ended_at=None)
    if not sessions.update(ended_at=Now(), end_reason=reason, end_detail=detail):
        return False
    ended = LiveEnded().model_dump_json()
    transaction.on_commit(partial(publisher.send, event_channel(row.id), ended))
    unpark(row.id)
    return True


def assign_language(row: Transcription) -> None:
    """The language that was spoken longest: that of the first word was a guess. Raises
    LeaseLost."""
    spoken = row.segments.exclude(language="").order_by().values_list("language")
    by_time = spoken.annotate(time=Sum(F("end") - F("start"))).order_by("-time", "language")
    if longest := by_time.first():
        lifecycle.update_held(row, language=longest[0])


def mark_recorded(row: Transcription, **values: Any) -> None:
    """The session has become a file: from now on the recording is like any other one. Raises
    LeaseLost."""
    lifecycle.update_held(row, priority=Priority.INTERACTIVE, **values)
