"""The whole story of one recording, from upload to transcript.

Both halves can be run twice, late, or after a crash: they begin by claiming the row, every change
asks for that claim again, and what is stored already is not done again.
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

from gpu.engine import get_engine
from gpu.types import (
    Cancelled,
    Complete,
    DeviceGone,
    DeviceLost,
    EngineError,
    EngineEvent,
    Metadata,
    NotTried,
    Partial,
    Segment,
    Spent,
    Unreachable,
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

RETRY_DELAY_S = (
    30.0  # seconds until an engine that cannot be reached is asked again; then twice that, ...
)


def preprocess(id: uuid.UUID) -> bool:
    """First half: the upload becomes audio that engines can read. True if that was done now."""
    return _claim_and(_prepare, id, State.PREPROCESSING)


def transcribe(id: uuid.UUID) -> bool:
    """Second half: the audio becomes segments. True if that was done now."""
    return _claim_and(_recognise, id, State.TRANSCRIBING)


def _prepare(holder: LeaseHolder, folder: Path) -> None:
    row = holder.row
    with media.local_copy(row.source, folder) as source:
        ready = media.prepare(source, folder)
    spans = voice_activity.find_speech(ready.path, ready.duration, holder.check)
    peaks = voice_activity.find_peaks(ready.path, ready.duration)
    with _stored(row, ready.path) as name, transaction.atomic():
        lifecycle.ensure_held(row)  # or its owner may be gone, whose quota is asked for
        quotas.reserve(row, ready.duration)
        lifecycle.mark_prepared(
            row,
            audio=name,
            format=ready.format,
            duration=ready.duration,
            spans=spans,
            peaks=peaks,
            note=ready.note,
        )


def _recognise(holder: LeaseHolder, folder: Path) -> None:
    last = holder.row.segments.last()
    partials = PartialPublisher(holder.row.id, last.number if last else 0)
    with media.local_copy(holder.row.audio, folder) as path:
        for event in _recognised(holder, path, last):
            if isinstance(event, Spent):
                holder.row.unsaved_usage += event
                continue
            holder.check()
            _keep(holder.row, event, partials)


def _recognised(
    holder: LeaseHolder, path: Path, last: StoredSegment | None
) -> Iterator[EngineEvent]:
    """What the engine says about all speech after the last stored segment."""
    todo = holder.row.to_audio(path).after(last.end if last else 0.0)
    if todo.spans:
        lifecycle.assign_engine(holder.row, settings.STT_ENGINE)
        yield from get_engine(settings.STT_ENGINE).stream(todo, holder.is_over)
    else:  # silence: an engine that is asked for words would invent some
        yield Complete(audio_seconds=0.0, decode_seconds=0.0)


def _keep(row: Transcription, event: EngineEvent, partials: PartialPublisher) -> None:
    """One short transaction, then one published event."""
    match event:
        case Metadata():
            lifecycle.mark_started(row, settings.STT_ENGINE, event)
            streams.publish(row.id, MetadataEvent.of(row))
        case Partial():
            partials.schedule(event)
        case Segment():
            stored = lifecycle.add_segment(row, event)
            partials.discard(stored.number)
            streams.publish(row.id, ProgressEvent.of(stored))
        case Complete():
            lifecycle.mark_completed(row, event)
            streams.publish(row.id, final_event(row, row.segments.count()))


# --- What both halves stand on ------------------------------------------------------------------


def _claim_and(work: Callable[[LeaseHolder, Path], None], id: uuid.UUID, state: State) -> bool:
    """Claims the row, does `work` with it, and turns what goes wrong into a sentence for its owner.

    Nothing is written when the row is not ours any more, or when the database itself is away: then
    the lease runs out and the sweeper rings again.
    """
    row = lifecycle.claim(id, state)
    if row is None:
        return False
    try:
        return _attempt(work, row)
    except LeaseLost:
        log.info("%s: deleted, cancelled, or taken over by another worker", id)
        metering.record_interrupted(row, row.unsaved_usage)  # the rest is whoever's took it
    except DatabaseError:
        log.exception("%s: the database is away, to be tried again", id)
    return False


def _attempt(work: Callable[[LeaseHolder, Path], None], row: Transcription) -> bool:
    try:
        if row.attempts > MAX_ATTEMPTS:
            raise EngineError(f"given up after {MAX_ATTEMPTS} attempts")
        with hold_lease(row) as holder, _scratch(row) as folder:
            work(holder, folder)
        log.info("%s: %s", row.id, row.state)
        return True
    except Cancelled:
        lifecycle.release(row)
    except AudioError as error:
        _fail(row, error.code, str(error))
    except (Unreachable, DeviceLost) as error:
        _reschedule(row, error)
    except EngineError as error:
        log.warning("%s: %s: %s", row.id, error.code, error)
        _fail(row, error.code, error.sentence)
    except (DatabaseError, LeaseLost):
        raise
    except Exception as error:
        log.exception("%s: unexpected failure", row.id)
        _fail(row, *_our_fault(error))
    return False


def _reschedule(row: Transcription, error: EngineError) -> None:
    """What may work in a minute: as often as a recording may be tried."""
    log.warning("%s: %s: %s", row.id, error.code, error)
    if isinstance(error, NotTried):
        lifecycle.reschedule(row, error.code, RETRY_DELAY_S, attempted=False)
    elif row.attempts < MAX_ATTEMPTS:
        lifecycle.reschedule(row, error.code, row.attempts * RETRY_DELAY_S)
    else:
        _fail(row, error.code, error.sentence)
    if isinstance(error, DeviceGone):  # who has started this process starts another one
        os.kill(os.getpid(), signal.SIGTERM)


def _our_fault(error: Exception) -> tuple[str, str]:
    """Code and sentence of what the recording is not to blame for."""
    if isinstance(error, OSError) and is_disk_full(error):
        return "disk_full", DISK_FULL_MESSAGE
    return "internal_error", "Something went wrong on our side. Please try again."


def _fail(row: Transcription, code: str, message: str) -> None:
    log.info("%s: failed: %s: %s", row.id, code, message)
    lifecycle.mark_failed(row, code, message)
    streams.publish(row.id, final_event(row, row.segments.count()))


class _Movable(File):  # type: ignore[type-arg]
    """Storage on a disk moves it to its place: no second copy, nor half of one if that is full."""

    def temporary_file_path(self) -> str:
        """Where it is now."""
        return str(self.name)


@contextmanager
def _stored(row: Transcription, path: Path) -> Iterator[str]:
    """Puts the WAV into storage; takes it out again if the row did not want it."""
    field = row._meta.get_field("audio")
    storage = row.audio.storage
    with path.open("rb") as wav:
        name = storage.save(field.generate_filename(row, ""), _Movable(wav))
    try:
        yield name
    except BaseException:
        storage.delete(name)
        raise


@contextmanager
def _scratch(row: Transcription) -> Iterator[Path]:
    """A folder for temporary files that is gone afterwards, whatever happens; and so is that of
    whoever had the row before, and was killed."""
    scratch, prefix = settings.FILE_UPLOAD_TEMP_DIR, f"job-{row.id}-"
    scratch.mkdir(parents=True, exist_ok=True)
    for left in scratch.glob(f"{prefix}*"):
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=scratch, prefix=prefix) as folder:
        yield Path(folder)
