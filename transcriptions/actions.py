"""What an owner may ask for while, or after, a recording is worked on: row first, then the news."""

from __future__ import annotations

from django.db import transaction

from transcriptions import events, quotas, tasks
from transcriptions.models import State, Transcription
from transcriptions.schemas import ending


def cancel(row: Transcription) -> None:
    """Stops the work on it; what is known by then stays. Raises WrongState."""
    row.cancelled()
    events.publish(row.id, ending(row, row.segments.count()))


def retry(row: Transcription) -> None:
    """Goes on where it failed or was cancelled. Raises WrongState, TooMany, AudioError."""
    with transaction.atomic():
        row.requeued()
        quotas.admit(row)
        if row.state == State.PREPARED:
            quotas.reserve(row, row.duration or 0.0)
        task = tasks.transcribe if row.state == State.PREPARED else tasks.preprocess
        transaction.on_commit(lambda: tasks.ring(task, row.id))
