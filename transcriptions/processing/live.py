"""The work on a live session: its audio is recognized as it arrives. At the end it becomes an
ordinary recording.

A worker has the session only while audio comes. If none comes any more, because somebody pauses or
has lost the connection, it leaves the session; the next piece of audio calls a worker again. Audio
is stored before its arrival is confirmed, so whoever continues, after a pause or after the worker
has died, begins where the last stored segment ends, or where the pause began.
"""

from __future__ import annotations

import logging
import math
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from django.conf import settings
from django.db import connections, transaction

from gpu.engine import get_engine
from gpu.types import (
    Complete,
    DeadlineExceeded,
    LiveEvent,
    TurnEnded,
    TurnStarted,
    UsageDelta,
)
from transcriptions.models import LiveSession, Transcription
from transcriptions.processing import (
    diarization_jobs,
    lifecycle,
    live_lifecycle,
    live_recording,
    pipeline,
    scheduling,
)
from transcriptions.processing.engine_calls import checked, watched
from transcriptions.processing.leases import LeaseHolder
from transcriptions.processing.live_input import STALL_S, LiveInput
from transcriptions.processing.work_files import file_in_storage
from transcriptions.realtime import streams
from transcriptions.realtime.partials import PartialPublisher
from transcriptions.schemas.events import TurnEvent, final_event

log = logging.getLogger(__name__)


def listen(transcription_id: uuid.UUID, worker: str = "") -> bool:
    """Work on a session until it ends or no audio comes any more. True if this call did it."""
    row = live_lifecycle.claim(transcription_id, worker)
    return row is not None and pipeline.run(row, _listen)


def _listen(holder: LeaseHolder, folder: Path) -> None:
    row = holder.row
    last = row.segments.last()
    audio = LiveInput(row, last.end if last else 0.0)
    engine = get_engine(settings.STT_ENGINE)
    lifecycle.assign_engine(row, settings.STT_ENGINE)

    def call() -> Iterator[LiveEvent]:
        try:
            events = engine.live(audio.audio(), holder.should_stop)
            yield from checked(events, audio.start, math.inf)
        finally:
            connections.close_all()  # the engine reads the audio in this thread

    def check() -> None:
        holder.check()
        if audio.is_stuck:
            raise DeadlineExceeded(f"the engine has taken no audio for {STALL_S:.0f} s")

    def add_usage(usage: UsageDelta) -> None:
        row.unsaved_usage += usage

    partials = PartialPublisher(row.id, last.number if last else 0)
    with closing(watched(call, check, add_usage, max_silence_s=math.inf)) as available:
        for events in available:
            for step in pipeline.grouped(events):
                holder.check()
                if isinstance(step, Complete):
                    _leave(holder, folder, audio, step)
                else:
                    _store_and_publish(row, step, partials)


def _store_and_publish(row: Transcription, step: pipeline.Step, partials: PartialPublisher) -> None:
    match step:
        case TurnStarted():
            event = TurnEvent(id=partials.after, state="started", time=step.start)
            streams.publish(row.id, event)
        case TurnEnded():
            number, end = partials.after, step.end
            event = TurnEvent(id=number, state="ended", time=end, commit=step.commit)
            if step.commit is not None:
                live_lifecycle.mark_heard(row, step.commit)
            partials.discard(number)
            streams.publish(row.id, event)
        case _:
            pipeline.store_and_publish_words(row, step, partials)


def _leave(holder: LeaseHolder, folder: Path, audio: LiveInput, meter: Complete) -> None:
    """All audio that has come is recognized: finish the session, or wait for more."""
    row = holder.row
    if audio.is_over:
        _finish(holder, folder, meter)
    elif not live_lifecycle.park(row, audio.received_bytes, audio.commits, meter):
        scheduling.enqueue_live(row.id)


def _finish(holder: LeaseHolder, folder: Path, meter: Complete) -> None:
    row = holder.row
    if not live_recording.has_audio(row):
        log.info("%s: deleted, because no audio came", row.id)
        row.delete()
        return
    recorded = live_recording.record(row, folder, holder.check)
    with file_in_storage(row, "source", recorded.path) as name, transaction.atomic():
        lifecycle.lock_held(row)
        live_recording.store(row, name, recorded)
        live_lifecycle.assign_language(row)
        lifecycle.mark_completed(row, meter, LiveSession.objects.get(pk=row.pk).end_detail)
        if is_detecting := row.options.diarize and row.segments.exists():
            diarization_jobs.add(row, row.options.min_speakers, row.options.max_speakers)
            transaction.on_commit(diarization_jobs.enqueue_next)
    if not is_detecting:  # otherwise the last event follows when the speakers are known
        streams.publish(row.id, final_event(row, row.segment_count))
