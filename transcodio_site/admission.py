"""Whether the body of a request is accepted: decided from its headers, before anything is stored.

Any request may have a small body (DATA_UPLOAD_MAX_MEMORY_SIZE). For a larger one the server calls
`check_upload`, which lets the application handle the headers alone: if it responds without reading
the body (no valid token, too many requests, not found), that is the response. Only if it begins to
read does the server receive the body. Then the application handles the whole request, and repeats
all checks.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import Any, NoReturn, cast

from corsheaders.middleware import CorsMiddleware
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler, ASGIRequest
from django.http import HttpRequest, HttpResponse

from accounts.authentication import authenticated_user
from accounts.client_ip import get_client_ip
from accounts.concurrency import ConcurrencyLimit
from accounts.models import User
from accounts.rate_limits import Throttled
from transcodio_site.api import api
from transcodio_site.logs import valid_request_id
from transcodio_site.middleware import ERROR_MESSAGES
from transcodio_site.openai_api import openai_api
from transcodio_site.response_headers import with_cache_headers, with_security_headers
from transcriptions.api import imports
from transcriptions.uploads.requests import check_before_body, max_body_bytes
from transcriptions.uploads.service import UploadRefused, too_many_uploads

# The paths to which a large body may be posted.
UPLOAD_PATHS = {
    "/api/transcriptions",
    "/api/transcribe",
    "/api/transcribe/stream",
    "/v1/audio/transcriptions",
    "/v1/audio/translations",
    "/asr",
    "/detect-language",
}
IMPORT_PATH = re.compile(r"/api/transcriptions/[^/]+/import/?")  # of texts, which are smaller


# The uploads whose bodies this process receives.
uploads_of_user = ConcurrencyLimit("MAX_UPLOADS_PER_USER", error=too_many_uploads)
uploads_from_address = ConcurrencyLimit("MAX_UPLOADS_PER_ADDRESS", error=too_many_uploads)


def _count_upload(address: str | None, user: User | None = None) -> Callable[[], None]:
    """Count one more upload. Return a function to call at its end. Raises TooManyUploads."""
    with ExitStack() as counted:
        if user is not None:
            counted.enter_context(uploads_of_user.hold(user))
        if address is not None:
            counted.enter_context(uploads_from_address.hold(address))
        return counted.pop_all().close


@dataclass(frozen=True, slots=True)
class Admission:
    """The body may arrive, with a file of at most `max_megabytes`. `release` must be called when it
    has arrived or will not arrive."""

    max_megabytes: int
    release: Callable[[], None]

    @property
    def max_bytes(self) -> int:
        """The largest body, in bytes."""
        return max_body_bytes(self.max_megabytes)


class BodyRequested(BaseException):
    """The application begins to read the body. Not an Exception, because no error handler may catch
    it."""

    def __init__(self, admission: Admission) -> None:
        super().__init__()
        self.admission = admission


class BodyToCome:
    """Takes the place of a body that has not arrived: the first read ends the check of the headers.

    Raises BodyRequested, or what the application turns into an error response.
    """

    request: HttpRequest

    def __init__(self, length: int) -> None:
        self._length = length

    def read(self, size: int = -1) -> NoReturn:
        """Admit the body or refuse it."""
        if IMPORT_PATH.fullmatch(self.request.path):
            max_megabytes = imports.check_before_body(self._length)
        else:
            max_megabytes = check_before_body(self.request, self._length)
        release = _count_upload(get_client_ip(self.request), authenticated_user(self.request))
        raise BodyRequested(Admission(max_megabytes, release))

    readline = read

    def close(self) -> None:
        """Do nothing: no resource is open."""


class HeadHandler(ASGIHandler):
    """Django's handler for use in a thread: no event loop, no response is sent."""

    def __init__(self) -> None:
        super(ASGIHandler, self).__init__()
        self.load_middleware()


@cache
def _handler() -> HeadHandler:
    return HeadHandler()


def check_upload(scope: dict[str, Any], length: int) -> Admission | HttpResponse:
    """An Admission if a body of at least `length` bytes may arrive, else the response. `scope` is
    the ASGI scope. Uses the database: must be called in a thread."""
    body: Any = BodyToCome(length)
    request, invalid = _handler().create_request(scope, body)
    if request is None:
        return cast("HttpResponse", invalid)
    body.request = request
    try:
        return cast("HttpResponse", _handler().get_response(request))
    except BodyRequested as requested:
        return requested.admission


def limit_body(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[..., HttpResponse]:
    """Middleware: refuse a large body that is not an upload, before anything reads it."""

    def middleware(request: HttpRequest) -> HttpResponse:
        length = request.META.get("CONTENT_LENGTH") or "0"
        is_large = length.isdigit() and int(length) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        takes_file = request.path in UPLOAD_PATHS or IMPORT_PATH.fullmatch(request.path)
        is_upload = request.method == "POST" and takes_file
        if is_large and not is_upload:
            message = str(ERROR_MESSAGES[413][1])
            return HttpResponse(message, status=413, content_type="text/plain; charset=utf-8")
        return get_response(request)

    return middleware


def count_body(scope: dict[str, Any]) -> Callable[[], None]:
    """Count a body of an unauthenticated request. Return a function to call at its end. Raises
    TooManyUploads."""
    return _count_upload(get_client_ip(_request(scope)))


def error_response(scope: dict[str, Any], error: UploadRefused | Throttled) -> HttpResponse:
    """The response to a body that is refused while it arrives, in the format of the API."""
    request = _request(scope)
    format_of = openai_api if request.path.startswith("/v1/") else api
    response = format_of.on_exception(request, error)
    response.headers["X-Request-ID"] = valid_request_id(request.headers.get("X-Request-ID", ""))
    with_cors = CorsMiddleware(lambda _: with_cache_headers(with_security_headers(response)))
    return cast("HttpResponse", with_cors(request))


def _request(scope: dict[str, Any]) -> HttpRequest:
    return ASGIRequest(scope, BytesIO())
