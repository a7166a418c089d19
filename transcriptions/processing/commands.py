"""Commands of an owner: change the row, then publish the event."""

from __future__ import annotations

from django.db import transaction
from django.utils.translation import gettext as _

from transcriptions import queue
from transcriptions.exceptions import WrongState
from transcriptions.models import FINISHED, Transcription
from transcriptions.models.transcription import delete_files
from transcriptions.processing import lifecycle, tasks, turns
from transcriptions.realtime import streams
from transcriptions.schemas.events import final_event
from transcriptions.usage import quotas


def cancel(row: Transcription) -> None:
    """Stop processing; stored segments are kept. Raises WrongState."""
    lifecycle.mark_cancelled(row)
    streams.publish(row.id, final_event(row, row.segment_count))


def retry(row: Transcription) -> None:
    """Resume after a failure or a cancellation. Raises WrongState, Throttled, AudioError."""
    with transaction.atomic():
        lifecycle.requeue(row)
        quotas.admit(row)
        turns.assign_virtual_start(row)
        if row.duration is not None:  # checked again when it is prepared
            quotas.reserve(row, row.duration)
        transaction.on_commit(lambda: queue.enqueue(tasks.preprocess, row.id))


def delete_audio(row: Transcription) -> None:
    """Delete the upload; the transcript is kept.
    Raises WrongState while it is processed."""
    with transaction.atomic():
        finished = Transcription.objects.filter(id=row.id, state__in=FINISHED)
        if not finished.update(source=""):
            raise WrongState(_("The recording is still being processed."))
        delete_files(row)
