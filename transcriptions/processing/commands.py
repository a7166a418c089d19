"""Commands of an owner: change the row, then publish the event."""

from __future__ import annotations

from django.db import transaction
from django.utils.translation import gettext as _

from transcriptions import queue
from transcriptions.exceptions import AudioDeleted, NoSpeech, WrongState
from transcriptions.models import FINISHED, DiarizationJob, EndReason, State, Transcription
from transcriptions.models.transcription import delete_files
from transcriptions.processing import (
    diarization_jobs,
    lifecycle,
    live_lifecycle,
    scheduling,
    tasks,
    turns,
)
from transcriptions.realtime import streams
from transcriptions.schemas.events import final_event
from transcriptions.usage import queue_limits, quotas


def cancel(row: Transcription, reason: EndReason = EndReason.STOPPED) -> None:
    """Stop processing; stored segments are kept. A live session ends, for
    `reason`, and its recording is completed with what was said. Raises WrongState."""
    if row.is_live and not row.is_finished:
        if live_lifecycle.end(row, reason):
            scheduling.enqueue_live(row.id)
        return
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


def detect_speakers(
    row: Transcription, least: int | None = None, most: int | None = None
) -> DiarizationJob:
    """Detect the speakers of a complete recording, between `least` and `most` if that is known. If
    that is under way already, return the job as it is.
    Raises WrongState, AudioDeleted, NoSpeech, AccountQueueFull."""
    with transaction.atomic():
        locked = Transcription.objects.select_for_update(no_key=True).get(id=row.id)
        if locked.state != State.COMPLETED:
            raise WrongState(_("Speakers can be detected after the transcription has completed."))
        if not locked.source:
            raise AudioDeleted(_("The audio of this recording has been deleted."))
        if not locked.segments.exists():
            raise NoSpeech(_("No speech was found in this recording."))
        if existing := diarization_jobs.under_way(locked):
            return existing
        queue_limits.check_diarization_jobs(locked.owner)
        transaction.on_commit(diarization_jobs.enqueue_next)
        return diarization_jobs.add(locked, least, most)


def delete_audio(row: Transcription) -> None:
    """Delete the upload; the transcript is kept.
    Raises WrongState while it is processed."""
    with transaction.atomic():
        finished = Transcription.objects.filter(id=row.id, state__in=FINISHED)
        if not finished.update(source=""):
            raise WrongState(_("The recording is still being processed."))
        delete_files(row)
