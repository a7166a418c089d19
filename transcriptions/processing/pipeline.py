"""The processing of one recording, from upload to transcript, in two steps.

Both steps may run twice, late, or after a crash: they start by claiming the row, every change
checks that claim again, and stored results are not computed again.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.core.files.base import File
from django.db import Error as DatabaseError
from django.db import transaction
from django.utils.translation import gettext as _

from gpu.engine import get_engine
from gpu.types import (
    Cancelled,
    CircuitOpen,
    Complete,
    DeviceLost,
    DeviceUnrecoverable,
    EngineError,
    EngineEvent,
    Metadata,
    Partial,
    Segment,
    Unreachable,
    UsageDelta,
)
from transcriptions.exceptions import DISK_FULL_MESSAGE, AudioError, LeaseLost, is_disk_full
from transcriptions.models import Segment as StoredSegment
from transcriptions.models import State, Transcription
from transcriptions.processing import lifecycle, media, voice_activity
from transcriptions.processing.leases import LeaseHolder, hold_lease
from transcriptions.processing.lifecycle import MAX_ATTEMPTS
from transcriptions.realtime import streams
from transcriptions.realtime.partials import PartialPublisher
from transcriptions.schemas.events import MetadataEvent, ProgressEvent, final_event
from transcriptions.usage import metering, quotas

log = logging.getLogger(__name__)

RETRY_DELAY_S = 30.0  # before the second attempt to reach an engine; then 60, 90, ...

Work = Callable[[LeaseHolder, Path], None]


def preprocess(transcription_id: uuid.UUID) -> bool:
    """First step: converts the upload to audio for engines. True if this call did it."""
    return _claim_and_run(_prepare_audio, transcription_id, State.PREPROCESSING)


def transcribe(transcription_id: uuid.UUID) -> bool:
    """Second step: recognizes the speech. True if this call did it."""
    return _claim_and_run(_recognize_speech, transcription_id, State.TRANSCRIBING)


def _prepare_audio(holder: LeaseHolder, folder: Path) -> None:
    row = holder.row
    with media.local_copy(row.source, folder) as source:
        audio = media.prepare(source, folder)
    spans = voice_activity.find_speech(audio.path, audio.duration, holder.check)
    peaks = voice_activity.find_peaks(audio.path, audio.duration)
    with _audio_in_storage(row, audio.path) as name, transaction.atomic():
        lifecycle.ensure_held(row)  # first: the account with the quota may have been deleted
        quotas.reserve(row, audio.duration)
        lifecycle.mark_prepared(
            row,
            audio=name,
            format=audio.format,
            duration=audio.duration,
            spans=spans,
            peaks=peaks,
            note=audio.note,
        )


def _recognize_speech(holder: LeaseHolder, folder: Path) -> None:
    last = holder.row.segments.last()
    partials = PartialPublisher(holder.row.id, last.number if last else 0)
    with media.local_copy(holder.row.audio, folder) as path:
        for event in _engine_events(holder, path, last):
            if isinstance(event, UsageDelta):
                holder.row.unsaved_usage += event
                continue
            holder.check()
            _store_and_publish(holder.row, event, partials)


def _engine_events(
    holder: LeaseHolder, path: Path, last: StoredSegment | None
) -> Iterator[EngineEvent]:
    """The engine's events for all speech after the last stored segment."""
    audio = holder.row.to_audio(path).after(last.end if last else 0.0)
    if audio.spans:
        lifecycle.assign_engine(holder.row, settings.STT_ENGINE)
        yield from get_engine(settings.STT_ENGINE).stream(audio, holder.should_stop)
    else:  # no speech: engines tend to invent words for silence
        yield Complete(audio_seconds=0.0, decode_seconds=0.0)


def _store_and_publish(row: Transcription, event: EngineEvent, partials: PartialPublisher) -> None:
    """One short transaction, then one published event."""
    match event:
        case Metadata():
            lifecycle.mark_started(row, settings.STT_ENGINE, event)
            streams.publish(row.id, MetadataEvent.of(row))
        case Partial():
            partials.schedule(event)
        case Segment():
            segment = lifecycle.add_segment(row, event)
            partials.discard(segment.number)
            streams.publish(row.id, ProgressEvent.of(segment))
        case Complete():
            lifecycle.mark_completed(row, event)
            streams.publish(row.id, final_event(row, row.segments.count()))


# --- Shared by both steps -----------------------------------------------------------------------


def _claim_and_run(work: Work, transcription_id: uuid.UUID, state: State) -> bool:
    """Claim the row and do `work`. True if it was done.

    If the lease is lost or the database fails, nothing is written: once the lease has expired,
    `requeue_stalled` enqueues the row again.
    """
    row = lifecycle.claim(transcription_id, state)
    if row is None:
        return False
    try:
        return _run(work, row)
    except LeaseLost:
        log.info("%s: deleted, cancelled, or taken over by another worker", row.id)
        # The worker that has taken over records the usage that is already saved.
        metering.record_interrupted(row, row.unsaved_usage)
    except DatabaseError:
        log.exception("%s: database error, will be retried", row.id)
    return False


def _run(work: Work, row: Transcription) -> bool:
    """Do `work`; an error becomes a state of the row and a message to its owner. True if it was
    done. Raises LeaseLost, DatabaseError."""
    try:
        if row.attempts > MAX_ATTEMPTS:
            raise EngineError(f"given up after {MAX_ATTEMPTS} attempts")
        with hold_lease(row) as holder, _temporary_folder(row) as folder:
            work(holder, folder)
        log.info("%s: %s", row.id, row.state)
        return True
    except Cancelled:
        lifecycle.release(row)
    except AudioError as error:
        _fail(row, error.code, str(error))
    except (Unreachable, DeviceLost) as error:
        _retry_later(row, error)
    except EngineError as error:
        log.warning("%s: %s: %s", row.id, error.code, error)
        _fail(row, error.code, error.user_message)
    except (DatabaseError, LeaseLost):
        raise
    except Exception as error:
        log.exception("%s: unexpected error", row.id)
        _fail(row, *_code_and_message(error))
    return False


def _retry_later(row: Transcription, error: EngineError) -> None:
    """Reschedule the row, up to MAX_ATTEMPTS times."""
    log.warning("%s: %s: %s", row.id, error.code, error)
    if isinstance(error, CircuitOpen):
        lifecycle.reschedule(row, error.code, RETRY_DELAY_S, attempted=False)
    elif row.attempts < MAX_ATTEMPTS:
        lifecycle.reschedule(row, error.code, row.attempts * RETRY_DELAY_S)
    else:
        _fail(row, error.code, error.user_message)
    if isinstance(error, DeviceUnrecoverable):  # only a new process can use the GPU again
        os.kill(os.getpid(), signal.SIGTERM)


def _code_and_message(error: Exception) -> tuple[str, str]:
    """For an error that is not the recording's fault."""
    if isinstance(error, OSError) and is_disk_full(error):
        return "disk_full", str(DISK_FULL_MESSAGE)
    return "internal_error", _("Something went wrong on our side. Please try again.")


def _fail(row: Transcription, code: str, message: str) -> None:
    log.info("%s: failed: %s: %s", row.id, code, message)
    lifecycle.mark_failed(row, code, message)
    streams.publish(row.id, final_event(row, row.segments.count()))


class _MovableFile(File):  # type: ignore[type-arg]
    """A file that disk storage moves instead of copying, which would need space for two copies."""

    def temporary_file_path(self) -> str:
        """The current path. Django's storage looks for this method."""
        return str(self.name)


@contextmanager
def _audio_in_storage(row: Transcription, path: Path) -> Iterator[str]:
    """Move the WAV into storage and yield its name; delete it if the body raises."""
    field = row._meta.get_field("audio")
    storage = row.audio.storage
    with path.open("rb") as wav:
        name = storage.save(field.generate_filename(row, ""), _MovableFile(wav))
    try:
        yield name
    except BaseException:
        storage.delete(name)
        raise


@contextmanager
def _temporary_folder(row: Transcription) -> Iterator[Path]:
    """A folder that is deleted afterwards, together with those of killed workers that
    had the row before."""
    parent, prefix = settings.FILE_UPLOAD_TEMP_DIR, f"job-{row.id}-"
    parent.mkdir(parents=True, exist_ok=True)
    for abandoned in parent.glob(f"{prefix}*"):
        shutil.rmtree(abandoned, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=parent, prefix=prefix) as folder:
        yield Path(folder)
