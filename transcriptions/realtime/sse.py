"""Server-Sent Events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from accounts.authentication import authenticated_user, is_still_authorized
from accounts.models import User
from transcriptions.models import Transcription
from transcriptions.realtime import streams
from transcriptions.realtime.long_responses import Chunk, long_response
from transcriptions.schemas.events import ERROR_SUFFIX

RECONNECT_MS = 2000  # sent as `retry`: a browser waits this long before it reconnects
RETRY = f"retry: {RECONNECT_MS}\n\n".encode()
KEEP_ALIVE = b": keep-alive\n\n"


@dataclass(frozen=True, slots=True)
class LastEventId:
    """What a client has received: events up to `event_id`, and whether an error followed them."""

    event_id: int = streams.BEFORE_FIRST_EVENT
    is_error: bool = False

    @classmethod
    def from_request(cls, request: HttpRequest) -> LastEventId:
        """From the header `Last-Event-ID` or the parameter `after`. Unknown ids are ignored."""
        value = request.headers.get("Last-Event-ID") or request.GET.get("after") or ""
        match = re.fullmatch(rf"(\d{{1,9}})({ERROR_SUFFIX})?", value)
        return cls(int(match[1]), bool(match[2])) if match else cls()

    def is_last_of(self, row: Transcription) -> bool:
        """Whether the transcription has finished and no event follows this one."""
        if not row.is_finished:
            return False
        return bool(row.error_code) if self.is_error else self.event_id > row.segment_count


def event_stream(
    request: HttpRequest, row: Transcription, last_event_id: LastEventId | None = None
) -> HttpResponseBase:
    """A response that streams the events after `last_event_id` and ends with the last one.

    Return 204 if there are none, which tells a browser not to reconnect. Raises TooManyParallel.
    """
    last_event_id = last_event_id or LastEventId()
    if last_event_id.is_last_of(row):
        return HttpResponse(status=204)
    user = authenticated_user(request)
    response = sse_response(user, _lines(request, row.id, last_event_id.event_id))
    response.headers["X-Transcription-Id"] = str(row.id)
    response.headers["Location"] = f"/api/transcriptions/{row.id}"
    return response


def sse_response(user: User, lines: AsyncGenerator[Chunk]) -> StreamingHttpResponse:
    """A response that streams events. Raises TooManyParallel."""
    return long_response(user, lines, "text/event-stream; charset=utf-8")


async def _lines(
    request: HttpRequest, transcription_id: uuid.UUID, after: int
) -> AsyncGenerator[bytes]:
    yield RETRY  # sent immediately, so that clients see an open stream
    is_authorized = partial(is_still_authorized, request)
    user_id = authenticated_user(request).pk
    events = streams.subscribe_while_authorized(is_authorized, user_id, transcription_id, after)
    async with aclosing(events):
        async for event in events:
            yield KEEP_ALIVE if event is None else event.as_sse
