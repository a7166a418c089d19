"""The processing of one recording, from upload to transcript, in two steps.

Both steps may run twice, late, or after a crash: they work on a row that was claimed, every change
checks that claim again, and stored results are not computed again.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from copy import copy
from functools import partial
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from gpu import tracing
from gpu.engine import get_engine
from gpu.types import (
    Audio,
    Cancelled,
    CircuitOpen,
    Complete,
    DeadlineExceeded,
    DeviceLost,
    DeviceUnrecoverable,
    EngineError,
    EngineEvent,
    Metadata,
    Partial,
    Segment,
    TurnEnded,
    TurnStarted,
    Unreachable,
    UsageDelta,
)
from transcriptions import metrics
from transcriptions.exceptions import (
    DATABASE_AWAY,
    DISK_FULL_MESSAGE,
    STORAGE_UNAVAILABLE_MESSAGE,
    AudioError,
    LeaseLost,
    StorageUnavailable,
    is_disk_full,
)
from transcriptions.models import Segment as StoredSegment
from transcriptions.models import State, Transcription
from transcriptions.processing import lifecycle, live_recording
from transcriptions.processing.channels import ChannelMerger
from transcriptions.processing.diarizing import SpeakerDetection, speaker_detection
from transcriptions.processing.engine_calls import Result, as_one_call, checked, watched
from transcriptions.processing.leases import (
    LeaseHolder,
    hold_lease,
    retry_while_database_is_away,
)
from transcriptions.processing.media.mixing import split
from transcriptions.processing.openings import (
    charged_if_refused,
    in_background,
    options_for_rest,
    until_segment,
)
from transcriptions.processing.preparation import Preparation, prepare_recording
from transcriptions.processing.work_files import file_in_storage, temporary_folder
from transcriptions.realtime import streams
from transcriptions.realtime.partials import PartialPublisher
from transcriptions.schemas.events import MetadataEvent, ProgressEvent, final_event
from transcriptions.storage.local_copy import local_copy
from transcriptions.usage import metering, quotas

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 5  # at one step without progress; the recording is then assumed to be the cause
# Before the second attempt to reach an engine or a remote storage; then 60, 90, ...
RETRY_DELAY_S = 30.0
STORAGE_RETRY_DELAY_S = 3.0
INTERNAL_ERROR_MESSAGE = _("Something went wrong on our side. Please try again.")

Work = Callable[[LeaseHolder, Path], None]
Step = Metadata | Partial | list[Segment] | TurnStarted | TurnEnded | Complete


def preprocess(transcription_id: uuid.UUID) -> bool:
    """First step for this recording: converts the upload to audio for engines. True if this call
    did it."""
    row = lifecycle.claim(transcription_id, State.PREPROCESSING)
    return row is not None and run(row)


def transcribe(transcription_id: uuid.UUID) -> bool:
    """Second step for this recording: recognizes the speech. True if this call did it."""
    row = lifecycle.claim(transcription_id, State.TRANSCRIBING)
    return row is not None and run(row)


def _prepare_audio(holder: LeaseHolder, folder: Path) -> None:
    row = holder.row
    source = local_copy(row.source, folder, holder.check)
    prepare = partial(prepare_recording, source, folder, row.options, holder.check)
    found = prepare(opening_first=not row.segments.exists())
    if found.is_opening:
        try:
            return _store_prepared(row, found)
        except AudioError:  # by the duration in the file's header, which may be wrong
            found = prepare()
    return _store_prepared(row, found)


def _store_prepared(row: Transcription, found: Preparation) -> None:
    """Raises TooLong, NotEnoughLeft, LeaseLost."""
    audio = found.audio
    with file_in_storage(row, "audio", audio.path) as name, transaction.atomic():
        lifecycle.ensure_held(row)  # first: the account with the quota may have been deleted
        quotas.reserve(row, audio.duration)
        lifecycle.mark_prepared(
            row,
            audio=name,
            format=audio.format,
            duration=audio.duration,
            spans=found.spans,
            waveform=found.waveform,
            note=audio.note,
            tracks=found.tracks,
            is_opening=found.is_opening,
        )


def _recognize_speech(holder: LeaseHolder, folder: Path) -> None:
    last = holder.row.segments.last()
    partials = PartialPublisher(holder.row.id, last.number if last else 0)
    with (
        speaker_detection(holder) as speakers,
        closing(_engine_events(holder, folder, last, speakers)) as available,
    ):
        for events in available:
            for step in grouped(events):
                holder.check()
                if isinstance(step, Complete):
                    step = speakers.finish(step)
                with metrics.segment_seconds.time():
                    _store_and_publish(holder.row, step, partials, speakers)


def _engine_events(
    holder: LeaseHolder, folder: Path, last: StoredSegment | None, speakers: SpeakerDetection
) -> Generator[list[Result]]:
    """The engine's events for all speech after the last stored segment, those together that are
    available at the same time. Usage is added to the row."""
    with closing(_calls(holder, folder, last.end if last else 0.0, speakers)) as calls:
        yield from as_one_call(calls)


def _calls(
    holder: LeaseHolder, folder: Path, position: float, speakers: SpeakerDetection
) -> Generator[Generator[list[Result]]]:
    """A call of the engine for the speech after `position` (seconds): two if only the opening of
    the recording is prepared."""
    row = holder.row
    rest = audio = row.to_audio(local_copy(row.audio, folder, holder.check))
    if row.analysis.is_opening:
        has_words = threading.Event()
        prepare = partial(_prepare_all, row, folder)
        with in_background(prepare, holder.check, start=has_words) as prepared:
            call = _recognized(holder, folder, audio, position, speakers.check)
            yield until_segment(call, has_words)
            position = max(position, *(span.end for span in audio.spans))
            with charged_if_refused(row):
                audio = row.to_audio(_replace_opening(holder, folder, prepared()))
            rest = audio.after(position)
    speakers.prepare(audio)
    yield _recognized(holder, folder, rest, position, speakers.check)


def _prepare_all(row: Transcription, folder: Path, check: Callable[[], None]) -> Preparation:
    source = local_copy(row.source, folder, check)
    return prepare_recording(source, folder, options_for_rest(row), check)


def _replace_opening(holder: LeaseHolder, folder: Path, found: Preparation) -> Path:
    """Raises TooLong, NotEnoughLeft, LeaseLost."""
    row, audio = holder.row, found.audio
    with file_in_storage(row, "audio", audio.path) as name, transaction.atomic():
        lifecycle.ensure_held(row)
        quotas.reserve(row, audio.duration)
        lifecycle.replace_opening(
            row,
            audio=name,
            duration=audio.duration,
            spans=found.spans,
            waveform=found.waveform,
            note=audio.note,
        )
    is_moved = not audio.path.exists()
    return local_copy(row.audio, folder, holder.check) if is_moved else audio.path


def _recognized(
    holder: LeaseHolder,
    folder: Path,
    audio: Audio,
    position: float,
    check: Callable[[], None],
) -> Generator[list[Result]]:
    """The events of one call for the speech after `position`. `check` is called while the engine
    yields nothing."""
    row = holder.row

    def stream(audio: Audio) -> Iterator[EngineEvent]:
        return get_engine(settings.STT_ENGINE).stream(audio, holder.should_stop)

    def add_usage(usage: UsageDelta) -> None:
        row.unsaved_usage += usage

    if channels := {span.channel for span in audio.spans if span.channel is not None}:
        stored = row.segments.values_list("channel", "start", "end")
        paths = split(audio.path, folder, sorted(channels), holder.check)
        call = ChannelMerger(audio, paths, stream, [(c or 0, s, e) for c, s, e in stored]).events
    else:
        audio = audio.after(position)
        call = partial(_one_call, stream, audio, position)
    if audio.spans:
        lifecycle.assign_engine(row, settings.STT_ENGINE)
        yield from watched(call, check, add_usage)
    else:  # no speech: engines tend to invent words for silence
        yield [Complete(audio_seconds=0.0, decode_seconds=0.0)]


def _one_call(
    stream: Callable[[Audio], Iterator[EngineEvent]], audio: Audio, position: float
) -> Iterator[EngineEvent]:
    return checked(stream(audio), position, audio.duration)


def grouped(events: list[Result]) -> Iterator[Step]:
    """What to store and publish: consecutive segments together. A partial counts only at the end,
    because the event after it replaces it."""
    segments: list[Segment] = []
    for event in events:
        if isinstance(event, Segment):
            segments.append(event)
        elif not isinstance(event, Partial) or event is events[-1]:
            if segments:
                yield segments
            segments = []
            yield event
    if segments:
        yield segments


def _store_and_publish(
    row: Transcription, step: Step, partials: PartialPublisher, speakers: SpeakerDetection
) -> None:
    match step:
        case list():
            store_and_publish_words(row, speakers.labeled(step), partials)
            speakers.words_are_stored()
        case Complete():
            lifecycle.mark_completed(row, step, speakers.note)
            streams.publish(row.id, final_event(row, row.segment_count))
        case _:
            store_and_publish_words(row, step, partials)


STAGES = {State.PREPROCESSING: "preprocess", State.TRANSCRIBING: "transcribe"}
WORK = {State.PREPROCESSING: _prepare_audio, State.TRANSCRIBING: _recognize_speech}


# --- Shared by all steps, and by live sessions ----------------------------------------------------


def store_and_publish_words(row: Transcription, step: Step, partials: PartialPublisher) -> None:
    """One short transaction, then one published event, or one for each segment; nothing for steps
    without words. Raises LeaseLost."""
    match step:
        case Metadata():
            lifecycle.mark_started(row, settings.STT_ENGINE, step)
            streams.publish(row.id, MetadataEvent.of(row))
        case Partial():
            partials.schedule(step)
        case list():
            for segment in lifecycle.add_segments(row, step):
                partials.discard(segment.number)
                streams.publish(row.id, ProgressEvent.of(segment))


def run(row: Transcription, work: Work | None = None) -> bool:
    """Do the work of the state of a claimed row, or `work`. True if it was done.

    Whatever happens, the row is finished or waits to be worked on again, unless another worker has
    taken it over.
    """
    claimed = copy(row)  # a transaction that is lost has changed `row`, but not what is stored
    try:
        stage = STAGES[State(row.state)]
        with tracing.span(stage, job_id=str(row.id)), metrics.stage_seconds.labels(stage).time():
            return _run(work or WORK[State(row.state)], row)
    except LeaseLost:
        log.info("%s: deleted, cancelled, or taken over by another worker", row.id)
        # The worker that has taken over records the usage that is already saved.
        metering.record_interrupted(row, row.unsaved_usage)
    except DATABASE_AWAY:
        log.exception("%s: the database is unavailable, will be continued", row.id)
        claimed.attempts, claimed.unsaved_usage = row.attempts, row.unsaved_usage
        retry_while_database_is_away(lambda: _retry(claimed, "database", 0.0))
    return False


def _run(work: Work, row: Transcription) -> bool:
    """Do `work`; an error becomes a state of the row and a message to its owner. True if it was
    done. Raises LeaseLost and the errors of DATABASE_AWAY."""
    try:
        if row.interruptions >= MAX_ATTEMPTS:
            raise EngineError(f"given up after {MAX_ATTEMPTS} attempts")
        with hold_lease(row) as holder, temporary_folder(row) as folder:
            work(holder, folder)
        log.info("%s: %s", row.id, row.state)
        return True
    except Cancelled:
        lifecycle.release(row)
    except AudioError as error:
        _fail(row, error.code, str(error))
    except (Unreachable, DeviceLost, DeadlineExceeded) as error:
        _retry_engine(row, error)
    except EngineError as error:
        log.warning("%s: %s: %s", row.id, error.code, error)
        _fail(row, error.code, error.user_message)
    except (*DATABASE_AWAY, LeaseLost):
        raise
    except Exception as error:
        lifecycle.ensure_held(row)  # the end of processing deletes the audio that it works on
        log.exception("%s: unexpected error", row.id)
        _handle_unexpected(row, error)
    return False


def _handle_unexpected(row: Transcription, error: Exception) -> None:
    """An error that is not the recording's fault. Storage that fails may work again soon."""
    if isinstance(error, StorageUnavailable):
        message = str(STORAGE_UNAVAILABLE_MESSAGE)
        _retry(row, "storage_unavailable", RETRY_DELAY_S, message)
    elif not isinstance(error, OSError):
        _fail(row, "internal_error", str(INTERNAL_ERROR_MESSAGE))
    elif is_disk_full(error):
        _fail(row, "disk_full", str(DISK_FULL_MESSAGE))
    else:
        _retry(row, "internal_error", STORAGE_RETRY_DELAY_S)


def _retry_engine(row: Transcription, error: EngineError) -> None:
    log.warning("%s: %s: %s", row.id, error.code, error)
    if isinstance(error, CircuitOpen):
        metrics.errors.labels(error.code, "retried").inc()
        lifecycle.reschedule(row, error.code, RETRY_DELAY_S, attempted=False)
    else:
        _retry(row, error.code, RETRY_DELAY_S, error.user_message)
    if isinstance(error, DeviceUnrecoverable):  # only a new process can use the GPU again
        os.kill(os.getpid(), signal.SIGTERM)


def _retry(row: Transcription, code: str, delay_s: float, message: str = "") -> None:
    """Reschedule the row, up to MAX_ATTEMPTS times without progress, a little later each time."""
    attempt = row.attempts + 1
    if attempt < MAX_ATTEMPTS:
        metrics.errors.labels(code, "retried").inc()
        lifecycle.reschedule(row, code, attempt * delay_s)
    else:
        _fail(row, code, message or str(INTERNAL_ERROR_MESSAGE))


def _fail(row: Transcription, code: str, message: str) -> None:
    log.info("%s: failed: %s: %s", row.id, code, message)
    if row.is_live:
        live_recording.keep_audio(row)
    metrics.errors.labels(code, "failed").inc()
    lifecycle.mark_failed(row, code, message)
    streams.publish(row.id, final_event(row, row.segment_count))
