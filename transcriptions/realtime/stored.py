"""Events that the database has. Watchers of one recording share what they read."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

from channels.db import database_sync_to_async
from django.db.models import Max
from django.utils.translation import gettext as _

from transcriptions.models import Segment, Transcription
from transcriptions.realtime.messages import DELETED, Message, Stored, event_channel_id
from transcriptions.schemas.events import (
    ErrorEvent,
    Event,
    MetadataEvent,
    ProgressEvent,
    final_event,
)

BEFORE_FIRST_EVENT = -1  # the id to subscribe after in order to receive every event
SEGMENTS_PER_QUERY = 200


def read_events(transcription_id: uuid.UUID, after: int) -> list[Event]:
    """Events with a higher id, at most SEGMENTS_PER_QUERY segments. If there are fewer, these are
    all that are stored."""
    # The row is read before its segments: if it has finished, all its segments are stored.
    row = Transcription.objects.filter(id=transcription_id).first()
    if row is None:
        return [_deleted_event(transcription_id, after)]
    if not row.model and not row.is_finished:
        return []  # no events yet; later ones are published to the channel that we watch
    events: list[Event] = []
    if after < 0 and row.model:
        events.append(MetadataEvent.of(row))
    segments = row.segments.filter(number__gt=after).order_by("number")
    segments = segments.defer(*Segment.INTERNAL)[:SEGMENTS_PER_QUERY]
    events.extend(ProgressEvent.of(segment) for segment in segments)
    if row.is_finished and len(segments) < SEGMENTS_PER_QUERY:
        events.append(final_event(row, row.segment_count))
    return events


def _deleted_event(transcription_id: uuid.UUID, after: int) -> ErrorEvent:
    detail = _("The transcription has been deleted.")
    return ErrorEvent(id=after + 1, transcription=transcription_id, code="deleted", detail=detail)


async def newest(channels: list[str]) -> dict[str, Message]:
    """How far the events of these recordings are stored, by channel, in one query."""
    ids = {channel: event_channel_id(channel) for channel in channels}
    recordings = [recording for recording in ids.values() if recording]
    read = database_sync_to_async(_newest_ids, thread_sensitive=False)
    stored: dict[uuid.UUID, int] = await read(recordings) if recordings else {}
    return {
        channel: Stored(id=stored.get(recording, DELETED))
        for channel, recording in ids.items()
        if recording
    }


def _newest_ids(recordings: list[uuid.UUID]) -> dict[uuid.UUID, int]:
    rows = Transcription.objects.filter(id__in=recordings).only("state", "model")
    return {row.id: _newest_id(row) for row in rows.annotate(last=Max("segments__number"))}


def _newest_id(row: Any) -> int:
    last = row.last or 0
    if row.is_finished:
        return int(last + 1)
    return int(last) if row.model else BEFORE_FIRST_EVENT


class SharedReader:
    """Reads the events of one recording for all its watchers, one query at a time."""

    def __init__(self, transcription_id: uuid.UUID) -> None:
        self._transcription_id = transcription_id
        self._lock = asyncio.Lock()
        self._waiting: dict[int, asyncio.Task[list[Event]]] = {}

    async def read(self, after: int) -> list[Event]:
        """See `read_events`. What was stored before this call is included."""
        task = self._waiting.get(after)
        if task is None:
            task = self._waiting[after] = asyncio.create_task(self._read(after))
        return await asyncio.shield(task)  # others wait for it, too

    async def _read(self, after: int) -> list[Event]:
        # A thread of the pool: a thread-sensitive call would hold one thread per open stream.
        read = database_sync_to_async(read_events, thread_sensitive=False)
        async with self._lock:
            del self._waiting[after]  # whoever comes later may need what is stored later
            events: list[Event] = await read(self._transcription_id, after)
            return events


_readers: WeakKeyDictionary[
    asyncio.AbstractEventLoop, WeakValueDictionary[uuid.UUID, SharedReader]
] = WeakKeyDictionary()


def shared_reader(transcription_id: uuid.UUID) -> SharedReader:
    """The reader of a recording in this event loop. It exists while somebody uses it."""
    readers = _readers.setdefault(asyncio.get_running_loop(), WeakValueDictionary())
    return readers.setdefault(transcription_id, SharedReader(transcription_id))
