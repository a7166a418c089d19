"""Captions of a live session, which anyone with the link can read while it lasts.

The link has a key that cannot be guessed. It works until the owner revokes it, or the session has
become an ordinary recording. Readers get only the text of the recording.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import lru_cache, partial

from django.db import transaction
from django.db.models import Max
from django.http import Http404
from django.utils.translation import gettext as _

from transcriptions.exceptions import WrongState
from transcriptions.models import LiveSession, Priority, Transcription
from transcriptions.realtime import streams
from transcriptions.realtime.messages import AccessChanged, access_channel
from transcriptions.realtime.publisher import publisher
from transcriptions.realtime.sse import KEEP_ALIVE, RETRY
from transcriptions.schemas.events import Event, PartialEvent, ProgressEvent

KEY_BYTES = 32
RECENT_S = 180.0  # of speech before they connect that new readers still see
END = b"event: end\ndata: {}\n\n"


def key_of(row: Transcription) -> str | None:
    """The key of the captions; None while they are not shared."""
    session = LiveSession.objects.filter(pk=row.pk).first()
    key = session and session.captions_key
    return key if key and find(key) else None


def share(row: Transcription) -> str:
    """Share the captions. Return their key, which stays the same if they were shared already.
    Raises WrongState."""
    session = LiveSession.objects.filter(pk=row.pk).first()
    if session is None or not row.is_live or row.is_finished:
        raise WrongState(_("Captions can be shared only while a recording is live."))
    key = secrets.token_urlsafe(KEY_BYTES)
    LiveSession.objects.filter(pk=session.pk, captions_key=None).update(captions_key=key)
    session.refresh_from_db(fields=["captions_key"])
    return session.captions_key or key


def withdraw(row: Transcription) -> None:
    """End the access of all readers. Sharing again creates a different link."""
    LiveSession.objects.filter(pk=row.pk).update(captions_key=None)
    changed = AccessChanged().model_dump_json()
    transaction.on_commit(partial(publisher.send, access_channel(row.owner_id), changed))


def find(key: str) -> LiveSession | None:
    """The live session whose captions this key opens, with its recording."""
    live = LiveSession.objects.select_related("transcription").filter(
        captions_key=key,
        transcription__priority=Priority.LIVE,
        transcription__completed_at=None,
        transcription__owner__is_active=True,
    )
    return live.first()


def session_for(key: str) -> LiveSession:
    """The session of this key. Raises Http404 if the key is unknown or no longer valid."""
    session = find(key)
    if session is None:
        raise Http404(_("These captions have ended, or are no longer shared."))
    return session


def recent(row: Transcription) -> int:
    """The last event before the speech of the last RECENT_S."""
    end = row.segments.aggregate(end=Max("end"))["end"]
    if end is None:
        return streams.BEFORE_FIRST_EVENT
    earlier = row.segments.filter(end__lt=end - RECENT_S)
    return earlier.aggregate(number=Max("number"))["number"] or streams.BEFORE_FIRST_EVENT


async def lines(key: str, session: LiveSession, after: int) -> AsyncGenerator[bytes]:
    """Server-Sent Events: `text` and `partial` until the session is over, or the key no longer
    valid; then `end`."""
    yield RETRY
    owner_id = session.transcription.owner_id
    events = streams.subscribe_while_authorized(
        partial(_is_shared, key), owner_id, session.pk, after
    )
    async with aclosing(events):
        async for event in events:
            if line := KEEP_ALIVE if event is None else _line(event):
                yield line
    yield END


def _is_shared(key: str) -> bool:
    return find(key) is not None


def _line(event: Event) -> bytes:
    """The line for readers; empty for events that are not about text."""
    match event:
        case ProgressEvent():
            return _encoded("text", event.id, event.segment.text, "")
        case PartialEvent():
            return _encoded("partial", event.id, event.text, event.tentative)
    return b""


@lru_cache(maxsize=64)  # once for all readers of this process
def _encoded(name: str, event_id: int, text: str, tentative: str) -> bytes:
    content = {"text": text} | ({"tentative": tentative} if tentative else {})
    id_line = f"id: {event_id}\n" if name == "text" else ""
    return f"{id_line}event: {name}\ndata: {json.dumps(content, ensure_ascii=False)}\n\n".encode()
