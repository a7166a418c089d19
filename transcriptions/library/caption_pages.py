"""The public page of live captions and its event stream, for anyone who has the link."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_GET

from accounts import concurrency
from accounts.client_ip import get_client_ip
from transcriptions.live import captions
from transcriptions.realtime.long_responses import long_response
from transcriptions.realtime.sse import LastEventId

# The link is a secret: no other site gets it as a referrer, and no search engine lists it.
HEADERS = {"Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex, nofollow"}


@require_GET
def page(request: HttpRequest, key: str) -> HttpResponse:
    """The captions of a live session, in large letters."""
    session = captions.find(key)
    context = {
        "key": key,
        "title": session.transcription.title if session else "",
        "language": session.transcription.language if session else "",
        "is_over": session is None,
    }
    status = 200 if session else 404
    response = render(request, "transcriptions/captions.html", context, status=status)
    _add_headers(response)
    return response


@require_GET
def events(request: HttpRequest, key: str) -> HttpResponseBase:
    """The text as Server-Sent Events."""
    try:
        session = captions.session_for(key)
    except Http404 as error:
        return HttpResponse(str(error), status=404, content_type="text/plain", headers=HEADERS)
    after = LastEventId.from_request(request).event_id
    if after < 0:
        after = captions.recent(session.transcription)
    lines = captions.lines(key, session, after)
    holder = get_client_ip(request) or ""
    content_type = "text/event-stream; charset=utf-8"
    response = long_response(holder, lines, content_type, concurrency.captions)
    _add_headers(response)
    return response


def _add_headers(response: HttpResponseBase) -> None:
    for name, value in HEADERS.items():
        response.headers[name] = value
