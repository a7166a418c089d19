"""Server-Sent Events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import aclosing

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from transcriptions import events
from transcriptions.models import Transcription
from transcriptions.schemas import Event, PartialEvent

RETRY = 2000  # milliseconds that a browser waits before it connects again


def event_stream(row: Transcription, after: int = events.NOTHING_SEEN) -> HttpResponseBase:
    """The events of `row` with an id above `after`, as a response that ends with the last one.

    Answers 204 when there are none left: that tells a browser not to connect again.
    """
    if row.is_finished and after > row.segments.count():
        return HttpResponse(status=204)
    return StreamingHttpResponse(
        _lines(row.id, after),
        content_type="text/event-stream; charset=utf-8",
        headers={
            "Cache-Control": "no-cache, no-transform",  # nobody may compress or hold it
            "X-Accel-Buffering": "no",  # nginx would hold events back
            "X-Transcription-Id": str(row.id),
            "Location": f"/api/transcriptions/{row.id}",
        },
    )


def last_event_id(request: HttpRequest) -> int:
    """The id of the last event that the client has seen, by its header or `?after=`."""
    value = request.headers.get("Last-Event-ID") or request.GET.get("after") or ""
    try:
        return max(int(value), events.NOTHING_SEEN)
    except ValueError:
        return events.NOTHING_SEEN


async def _lines(id: uuid.UUID, after: int) -> AsyncIterator[str]:
    yield f"retry: {RETRY}\n\n"  # at once, so that the client sees the stream open
    async with aclosing(events.subscribe(id, after)) as stream:
        async for event in stream:
            yield ": keep-alive\n\n" if event is None else _message(event)


def _message(event: Event) -> str:
    # Early words are not stored: who comes back resumes after the last event that is.
    id = "" if isinstance(event, PartialEvent) else f"id: {event.id}\n"
    return f"{id}event: {event.type}\ndata: {event.model_dump_json()}\n\n"
