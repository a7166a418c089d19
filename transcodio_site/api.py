"""The root of the REST API: routes, authentication and the one shape that errors have."""

from __future__ import annotations

import logging
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse
from ninja.errors import AuthenticationError, HttpError, ValidationError

from accounts.api import router as tokens
from accounts.authentication import ScopeMissing, api_auth
from accounts.limits import TooMany
from accounts.usage import router as usage
from transcodio_site import __version__
from transcodio_site.openapi import DocumentedAPI
from transcriptions.api import ApiError
from transcriptions.api import router as transcriptions
from transcriptions.audio import is_full
from transcriptions.intake import no_recording
from transcriptions.uploads import UploadRefused, no_room

log = logging.getLogger(__name__)

api = DocumentedAPI(
    title="Transcodio",
    version=__version__,
    description="Recordings into text, live. Send `Authorization: Bearer tk_...`.",
    auth=api_auth,
)
api.add_router("", transcriptions)
api.add_router("", tokens)
api.add_router("", usage)


def _error(request: HttpRequest, status: int, code: str, detail: str) -> HttpResponse:
    return api.create_response(request, {"detail": detail, "code": code}, status=status)


@api.exception_handler(AuthenticationError)
def _not_authenticated(request: HttpRequest, error: Any) -> HttpResponse:
    response = _error(
        request,
        401,
        "not_authenticated",
        "Send a valid API token in the header: Authorization: Bearer tk_...",
    )
    response["WWW-Authenticate"] = "Bearer"
    return response


@api.exception_handler(ScopeMissing)
def _scope_missing(request: HttpRequest, error: Any) -> HttpResponse:
    return _error(request, 403, "insufficient_scope", str(error))


@api.exception_handler(TooMany)
def _too_many(request: HttpRequest, error: Any) -> HttpResponse:
    response = _error(request, 429, error.code, str(error))
    response["Retry-After"] = str(error.wait)
    return response


@api.exception_handler(RequestDataTooBig)
def _no_form(request: HttpRequest, error: Any) -> HttpResponse:
    """Django reads what is called a form into memory, and a recording is too large for that."""
    return _refused(request, no_recording())


@api.exception_handler(UploadRefused)
@api.exception_handler(ApiError)
def _refused(request: HttpRequest, error: Any) -> HttpResponse:
    return _error(request, error.status, error.code, str(error))


@api.exception_handler(Http404)
def _not_found(request: HttpRequest, error: Any) -> HttpResponse:
    return _error(request, 404, "not_found", str(error))


@api.exception_handler(HttpError)
def _http_error(request: HttpRequest, error: Any) -> HttpResponse:
    codes = {400: "bad_request", 403: "forbidden"}
    return _error(request, error.status_code, codes.get(error.status_code, "error"), str(error))


@api.exception_handler(OSError)
def _disk_full(request: HttpRequest, error: Any) -> HttpResponse:
    if not is_full(error):
        raise error
    log.error("the disk is full: %s", error)
    return _refused(request, no_room())


@api.exception_handler(ValidationError)
def _invalid(request: HttpRequest, error: Any) -> HttpResponse:
    """The first problem as a sentence: which field, and what is wrong with it."""
    first = error.errors[0]
    field = str(first["loc"][-1])
    if first["type"] == "missing":
        return _error(request, 422, "missing_field", f"The field {field!r} is missing.")
    return _error(request, 422, "invalid_field", f"The field {field!r}: {first['msg']}.")
