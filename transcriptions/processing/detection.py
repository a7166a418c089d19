"""The work on a job: the speakers of a recording that is complete, without recognizing it again."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

from django.utils.translation import gettext as _

from gpu import tracing
from gpu.types import Audio, Cancelled, Word
from transcriptions import metrics
from transcriptions.editing.chosen_speakers import ChosenSpeakers
from transcriptions.editing.log import recorded
from transcriptions.exceptions import (
    DATABASE_AWAY,
    DISK_FULL_MESSAGE,
    STORAGE_UNAVAILABLE_MESSAGE,
    AudioError,
    LeaseLost,
    StorageUnavailable,
    is_disk_full,
)
from transcriptions.models import DiarizationJob, EditKind, Options, Transcription
from transcriptions.processing import diarization_jobs
from transcriptions.processing.diarization_jobs import RETRY_DELAY_S, JobLease, limits_of
from transcriptions.processing.diarizing import NoSpeakersError, diarize
from transcriptions.processing.preparation import prepare_recording
from transcriptions.processing.recognized_voices import (
    Known,
    give_known_names,
    known_speakers,
    stored_words,
)
from transcriptions.processing.speaker_storage import replace_speakers
from transcriptions.processing.speakers import ChannelSpeakers, SpeakerOf, TurnSpeakers
from transcriptions.processing.work_files import temporary_folder
from transcriptions.schemas.events import SpeakersEvent
from transcriptions.storage.local_copy import local_copy

log = logging.getLogger(__name__)


def run(job: DiarizationJob) -> bool:
    """Do the work of a claimed job. True if its speakers are stored.

    Whatever happens, the job is done, has failed or waits, unless it was cancelled or another
    worker has taken it over. If the database is down, that happens when the lease expires.
    """
    timer = metrics.stage_seconds.labels("diarize").time()
    try:
        with tracing.span("diarize", job_id=str(job.pk)), timer:
            return _run(job)
    except LeaseLost:
        log.info("%s: speakers: cancelled, or taken over by another worker", job.pk)
    except DATABASE_AWAY:
        log.exception("%s: speakers: the database is unavailable, will be continued", job.pk)
    return False


def _run(job: DiarizationJob) -> bool:
    """An error becomes a state of the job. Raises LeaseLost and the errors of DATABASE_AWAY."""
    try:
        _detect(JobLease(job))
        return True
    except Cancelled:
        diarization_jobs.release(job)
    except AudioError as error:
        diarization_jobs.mark_failed(job, str(error))
    except FileNotFoundError:
        diarization_jobs.mark_failed(job, _("The audio of this recording has been deleted."))
    except NoSpeakersError as error:
        log.error("%s: speakers: %s", job.pk, error.__cause__, exc_info=error.__cause__)
        diarization_jobs.mark_failed(job, _("The speakers could not be detected."))
    except (*DATABASE_AWAY, LeaseLost):
        raise
    except Exception as error:
        log.exception("%s: speakers: unexpected error", job.pk)
        diarization_jobs.retry(job, _message(error), RETRY_DELAY_S)
    return False


def _message(error: Exception) -> str:
    """The message for the owner if no further attempt succeeds."""
    if isinstance(error, StorageUnavailable):
        return str(STORAGE_UNAVAILABLE_MESSAGE)
    if isinstance(error, OSError) and is_disk_full(error):
        return str(DISK_FULL_MESSAGE)
    return _("The speakers could not be detected.")


def _detect(lease: JobLease) -> None:
    row = lease.job.transcription
    is_separate = row.segments.filter(channel__isnull=False).exists()
    found = (_speakers_by_channel(row), {}) if is_separate else _speakers_by_voice(lease, row)
    store = partial(_store, found=found, requested_at=lease.job.created_at)
    diarization_jobs.mark_completed(lease.job, store)


def _store(
    row: Transcription, found: tuple[SpeakerOf, Known], requested_at: datetime
) -> SpeakersEvent:
    """Store the speakers as a change that can be undone, without those that people have chosen
    since the detection was requested."""
    speaker_of, known = found
    chosen = ChosenSpeakers.since(row, requested_at)
    with recorded(row, EditKind.DETECTION):
        return replace_speakers(row, speaker_of, chosen, partial(give_known_names, found=known))


def _speakers_by_channel(row: Transcription) -> SpeakerOf:
    words = (Word(**word) for segment in row.segments.all() for word in segment.words)
    return ChannelSpeakers.with_words(words)


def _speakers_by_voice(lease: JobLease, row: Transcription) -> tuple[SpeakerOf, Known]:
    """With those whose voices are known. Raises FileNotFoundError, AudioError, NoSpeakersError,
    LeaseLost, Cancelled."""
    if not row.source:
        raise FileNotFoundError
    with temporary_folder(row) as folder:
        audio = _prepared(lease, row, folder)
        limits = limits_of(lease.job)
        found = diarize(audio, limits, lease.check, lease.add_usage)
        speaker_of = TurnSpeakers(found.turns, audio.spans, math.inf)
        words = (word | {"speaker": speaker_of(Word(**word))} for word in stored_words(row))
        known = known_speakers(row, words, audio.path, lease.check, lease.add_comparison)
        return speaker_of, known or {}


def _prepared(lease: JobLease, row: Transcription, folder: Path) -> Audio:
    """Prepare the audio that was transcribed, with its spans of speech."""
    source = local_copy(row.source, folder, lease.check)
    found = prepare_recording(source, folder, _options(row), lease.check)
    return Audio(found.audio.path, found.audio.duration, tuple(found.spans))


def _options(row: Transcription) -> Options:
    """The options of the recording, with the transcribed track and mixed channels."""
    chosen = [track["index"] for track in row.tracks if track["chosen"]]
    return replace(row.options, channels="mix", track=chosen[0] if chosen else None)
