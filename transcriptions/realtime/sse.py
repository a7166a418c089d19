"""Server-Sent Events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

from asgiref.sync import SyncToAsync
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from accounts.authentication import is_still_authorized
from transcriptions.models import Transcription
from transcriptions.realtime import streams
from transcriptions.schemas.events import ErrorEvent, Event, PartialEvent

RETRY = 2000  # milliseconds that a browser waits before it connects again
# A failed recording may be tried again, and then the number of its end is that of its next segment:
# so the id of an error is that of the event before it, with this behind it.
ERROR = "-error"


@dataclass(frozen=True, slots=True)
class LastEventId:
    """What a client has had: the events up to that id, and whether an error came after them."""

    id: int = streams.NOTHING_SEEN
    error: bool = False

    @classmethod
    def from_request(cls, request: HttpRequest) -> LastEventId:
        """As its header `Last-Event-ID` says, or `?after=`; nothing, if that is no id of ours."""
        given = request.headers.get("Last-Event-ID") or request.GET.get("after") or ""
        found = re.fullmatch(rf"(\d{{1,9}})({ERROR})?", given)
        return cls(int(found[1]), bool(found[2])) if found else cls()

    def all_of(self, row: Transcription) -> bool:
        """Whether nothing is left to be told."""
        if not row.is_finished:
            return False
        return bool(row.error_code) if self.error else self.id > row.segments.count()


def event_stream(
    request: HttpRequest, row: Transcription, seen: LastEventId | None = None
) -> HttpResponseBase:
    """The events of `row` that were not `seen`, as a response that ends with the last one.

    Answers 204 when there are none left: that tells a browser not to connect again.
    """
    seen = seen or LastEventId()
    if seen.all_of(row):
        return HttpResponse(status=204)
    response = streamed(_lines(request, row.id, seen.id))
    response.headers["X-Transcription-Id"] = str(row.id)
    response.headers["Location"] = f"/api/transcriptions/{row.id}"
    return response


def streamed(lines: AsyncGenerator[str]) -> StreamingHttpResponse:
    """Lines as they come, which nobody on the way may hold back, compress or keep."""
    return StreamingHttpResponse(
        _without_a_thread(lines),
        content_type="text/event-stream; charset=utf-8",
        headers={
            "Cache-Control": "no-cache, no-transform",
            "X-Accel-Buffering": "no",  # nginx would hold events back
        },
    )


async def _without_a_thread(lines: AsyncGenerator[str]) -> AsyncIterator[str]:
    """Django keeps the thread in which a view has run until the last byte of its answer is sent:
    for as long as a page is open. Whoever needs one later gets another."""
    context = SyncToAsync.thread_sensitive_context.get(None)
    if context and (executor := SyncToAsync.context_to_thread_executor.pop(context, None)):
        executor.shutdown(wait=False)
    async with aclosing(lines):
        async for line in lines:
            yield line


async def _lines(request: HttpRequest, id: uuid.UUID, after: int) -> AsyncGenerator[str]:
    yield f"retry: {RETRY}\n\n"  # at once, so that the client sees the stream open
    is_welcome = partial(is_still_authorized, request)
    async with aclosing(streams.follow(is_welcome, id, after)) as stream:
        async for event in stream:
            yield ": keep-alive\n\n" if event is None else _message(event)


def _message(event: Event) -> str:
    return f"{_id(event)}event: {event.type}\ndata: {event.model_dump_json()}\n\n"


def _id(event: Event) -> str:
    match event:
        case PartialEvent():  # not stored: who comes back resumes after the last event that is
            return ""
        case ErrorEvent():
            return f"id: {event.id - 1}{ERROR}\n"
        case _:
            return f"id: {event.id}\n"
