"""Commands of an owner: change the row, then publish the event."""

from __future__ import annotations

from django.db import transaction

from transcriptions import queue
from transcriptions.models import State, Transcription
from transcriptions.processing import lifecycle, tasks
from transcriptions.realtime import streams
from transcriptions.schemas.events import final_event
from transcriptions.usage import quotas


def cancel(row: Transcription) -> None:
    """Stop processing; stored segments are kept. Raises WrongState."""
    lifecycle.mark_cancelled(row)
    streams.publish(row.id, final_event(row, row.segments.count()))


def retry(row: Transcription) -> None:
    """Resume after a failure or a cancellation. Raises WrongState, Throttled, AudioError."""
    with transaction.atomic():
        lifecycle.requeue(row)
        quotas.admit(row)
        if row.state == State.PREPARED:
            quotas.reserve(row, row.duration or 0.0)
        task = tasks.transcribe if row.state == State.PREPARED else tasks.preprocess
        transaction.on_commit(lambda: queue.enqueue(task, row.id))
