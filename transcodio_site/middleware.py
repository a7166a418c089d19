"""Middleware: request ids, rate-limit headers, errors as JSON, released resources."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress

from allauth.usersessions.middleware import UserSessionsMiddleware
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.decorators import sync_only_middleware
from django.utils.translation import gettext_lazy as _

from transcodio_site.logs import bind_request, valid_request_id
from transcriptions.api.openai.errors import error_body

API_PATHS = ("/api/", "/v1/")
# Code and message by status.
ERROR_MESSAGES = {
    400: ("bad_request", _("The request could not be understood.")),
    403: ("forbidden", _("You do not have permission to do this.")),
    404: ("not_found", _("Page not found.")),
    405: ("method_not_allowed", _("This method is not allowed here: see the Allow header.")),
    408: ("timeout", _("The request did not arrive in time.")),
    413: ("too_large", _("The request is too large.")),
    414: ("uri_too_long", _("The URL is too long.")),
    416: ("no_such_range", _("The requested range is outside the recording: see Content-Range.")),
    429: ("rate_limited", _("Too many requests: see the Retry-After header.")),
    431: ("headers_too_large", _("The headers of the request are too large.")),
    500: ("internal_error", _("Something went wrong on our side. Please report the X-Request-ID.")),
    503: (
        "unavailable",
        _("Temporarily unavailable. Please try again in a few seconds."),
    ),
}


def request_id_header(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[..., HttpResponse]:
    """Return `X-Request-ID`: the id that the caller sent, or a new one. Every log line has it.

    The id stays bound, because Django logs after all middleware. Each request has its own context.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        request_id = valid_request_id(request.headers.get("X-Request-ID", ""))
        bind_request(request_id)
        response = get_response(request)
        response.headers["X-Request-ID"] = request_id
        return response

    return middleware


def rate_limit_headers(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[..., HttpResponse]:
    """Add `RateLimit-*` headers to responses to requests that were counted."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if state := getattr(request, "rate_limit", None):
            for name, value in state.headers.items():
                response.headers[name] = value
        return response

    return middleware


def errors_as_json(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[..., HttpResponse]:
    """Format every error under /api/ and /v1/ as JSON, including those that no view raised."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        is_rest, is_openai = (f"{request.path}/".startswith(path) for path in API_PATHS)
        is_json = response.get("Content-Type", "").startswith("application/json")
        if (is_rest or is_openai) and response.status_code >= 400 and not is_json:
            code, detail = ERROR_MESSAGES.get(response.status_code, ERROR_MESSAGES[400])
            body = (
                {"detail": str(detail), "code": code}
                if is_rest
                else error_body(code, str(detail), status=response.status_code)
            )
            response.content = json.dumps(body)
            response.headers["Content-Type"] = "application/json"
            response.headers["Content-Length"] = str(len(response.content))
        return response

    return middleware


def ignore_trailing_slash(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[..., HttpResponse]:
    """Treat `/v1/models/` as `/v1/models`: many clients end every URL of an API with a slash."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.path.startswith(API_PATHS):
            request.path, request.path_info = (
                path.rstrip("/") for path in (request.path, request.path_info)
            )
        return get_response(request)

    return middleware


def answer_options(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[..., HttpResponse]:
    """Answer OPTIONS with the allowed methods, where the view itself knows only the others."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if request.method != "OPTIONS" or response.status_code != 405:
            return response
        allowed = {*response.headers["Allow"].split(", "), "OPTIONS"}
        if "GET" in allowed:
            allowed.add("HEAD")
        return HttpResponse(status=204, headers={"Allow": ", ".join(sorted(allowed))})

    return middleware


def head_as_get(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[..., HttpResponse]:
    """Answer HEAD like GET (RFC 9110, section 9.3.2): the server drops the body, and streams are
    not started. Downloads and exports handle HEAD themselves."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.method != "HEAD" or request.path.endswith(("/audio", "/export")):
            return get_response(request)
        request.method = "GET"
        response = get_response(request)
        request.method = "HEAD"
        if response.streaming:
            response.streaming_content = ()  # type: ignore[attr-defined]
        return response

    return middleware


def _close_files(request: HttpRequest) -> None:
    """Delete all temporary files. Django forgets the one that was being written when an error (the
    disk is full) or a malformed form ended the parsing."""
    files = [handler.file for handler in request.upload_handlers if hasattr(handler, "file")]
    for file in (*files, request):
        with suppress(OSError):  # closing writes the rest to a disk that may be full, then deletes
            file.close()


class SessionActivityMiddleware(UserSessionsMiddleware):  # type: ignore[misc]
    """Store when a session was last used, but not for each poll of a page that is merely open."""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Skip what stores the activity for polls."""
        is_poll = request.path == reverse("transcriptions:rows")
        response: HttpResponse = (
            self.get_response(request) if is_poll else super().__call__(request)
        )
        return response


@sync_only_middleware
def release_resources(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[..., HttpResponse]:
    """Release resources before a response is sent, which takes as long as the client needs.

    Temporary files of uploads are deleted and the database connection returns to its pool as soon
    as the response exists: Django would keep both until the last byte was sent, or forever if the
    client disconnects at that moment. As this middleware is synchronous, everything inside it runs
    in one thread, which is never cancelled.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        try:
            return get_response(request)
        finally:
            _close_files(request)
            for connection in connections.all(initialized_only=True):
                # A test holds its connection in a transaction of its own.
                if not connection.in_atomic_block:
                    connection.close_if_unusable_or_obsolete()

    return middleware
