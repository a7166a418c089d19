"""Events in the database. Watchers of one recording share what they read."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

from channels.db import database_sync_to_async
from django.db.models import F, Max
from django.utils.translation import gettext as _

from transcriptions.models import Segment, Transcription, is_detecting_speakers
from transcriptions.realtime.messages import DELETED, Message, Stored, event_channel_id
from transcriptions.schemas.events import (
    ErrorEvent,
    Event,
    MetadataEvent,
    ProgressEvent,
    SpeakersEvent,
    final_event,
)

BEFORE_FIRST_EVENT = -1  # the id to subscribe after in order to receive every event
SEGMENTS_PER_QUERY = 200


@dataclass(frozen=True, slots=True)
class Batch:
    """Stored events, and the number of speaker changes that they include."""

    events: Sequence[Event]
    changes: int = 0


def read_events(transcription_id: uuid.UUID, after: int, known_changes: int = 0) -> Batch:
    """Events with a higher id, at most SEGMENTS_PER_QUERY segments. If there are fewer, these are
    all stored ones. They are preceded by the speakers of the segments up to `after`, if these have
    changed more often than `known_changes`. While the speakers of a completed recording are being
    detected, its last event is left out: it follows when the detection has ended."""
    # The row is read before its segments: if it has finished, all its segments are stored.
    rows = Transcription.objects.filter(id=transcription_id)
    more = {"changes": F("progress__speaker_changes"), "is_detecting": is_detecting_speakers()}
    row: Any = rows.annotate(**more).first()
    if row is None:
        return Batch([_deleted_event(transcription_id, after)])
    if not row.model and not row.is_finished:
        return Batch([])  # no events yet; later ones are published to the channel that we watch
    events: list[Event] = []
    if after < 0 and row.model:
        events.append(MetadataEvent.of(row))
    if after > 0 and row.changes > known_changes:
        events.append(_speakers_event(row, row.changes, after))
    segments = row.segments.filter(number__gt=after).order_by("number")
    segments = segments.defer(*Segment.INTERNAL)[:SEGMENTS_PER_QUERY]
    events.extend(ProgressEvent.of(segment) for segment in segments)
    if row.is_finished and not row.is_detecting and len(segments) < SEGMENTS_PER_QUERY:
        events.append(final_event(row, row.segment_count))
    return Batch(events, row.changes)


def _speakers_event(row: Transcription, change: int, until: int) -> SpeakersEvent:
    known = row.segments.filter(number__lte=until).order_by("number")
    segments = list(known.only("number", "speaker", "words"))
    return SpeakersEvent.of(row, change, segments, segments)


def _deleted_event(transcription_id: uuid.UUID, after: int) -> ErrorEvent:
    detail = _("The transcription has been deleted.")
    return ErrorEvent(id=after + 1, transcription=transcription_id, code="deleted", detail=detail)


async def newest(channels: list[str]) -> dict[str, Message]:
    """The newest stored event of each of these recordings, by channel, in one query."""
    ids = {channel: event_channel_id(channel) for channel in channels}
    recordings = [recording for recording in ids.values() if recording]
    read = database_sync_to_async(_read_newest, thread_sensitive=False)
    stored: dict[uuid.UUID, Stored] = await read(recordings) if recordings else {}
    return {
        channel: stored.get(recording, Stored(id=DELETED))
        for channel, recording in ids.items()
        if recording
    }


def _read_newest(recordings: list[uuid.UUID]) -> dict[uuid.UUID, Stored]:
    rows = Transcription.objects.filter(id__in=recordings).only("state", "model")
    counts = {"last": Max("segments__number"), "changes": F("progress__speaker_changes")}
    rows = rows.annotate(**counts, is_detecting=is_detecting_speakers())
    return {row.id: _newest(row) for row in rows}


def _newest(row: Any) -> Stored:
    return Stored(id=_newest_id(row), changes=row.changes)


def _newest_id(row: Any) -> int:
    last = row.last or 0
    if row.is_finished and not row.is_detecting:
        return int(last + 1)
    return int(last) if row.model else BEFORE_FIRST_EVENT


class SharedReader:
    """Reads the events of one recording for all its watchers, one query at a time."""

    def __init__(self, transcription_id: uuid.UUID) -> None:
        self._transcription_id = transcription_id
        self._lock = asyncio.Lock()
        self._waiting: dict[tuple[int, int], asyncio.Task[Batch]] = {}

    async def read(self, after: int, known_changes: int = 0) -> Batch:
        """See `read_events`. Events that were stored before this call are included."""
        key = after, known_changes
        task = self._waiting.get(key)
        if task is None:
            task = self._waiting[key] = asyncio.create_task(self._read(*key))
        return await asyncio.shield(task)  # others wait for it, too

    async def _read(self, after: int, known_changes: int) -> Batch:
        # A thread of the pool: a thread-sensitive call would hold one thread per open stream.
        read = database_sync_to_async(read_events, thread_sensitive=False)
        async with self._lock:
            # Later callers may need events that are stored later.
            del self._waiting[after, known_changes]
            batch: Batch = await read(self._transcription_id, after, known_changes)
            return batch


_readers: WeakKeyDictionary[
    asyncio.AbstractEventLoop, WeakValueDictionary[uuid.UUID, SharedReader]
] = WeakKeyDictionary()


def shared_reader(transcription_id: uuid.UUID) -> SharedReader:
    """The reader of a recording in this event loop, shared while it has users."""
    readers = _readers.setdefault(asyncio.get_running_loop(), WeakValueDictionary())
    return readers.setdefault(transcription_id, SharedReader(transcription_id))
