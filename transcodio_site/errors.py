"""Errors of both APIs in one table: status, code, and a message that says what to do.

Each API formats them differently.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.core.exceptions import (
    RequestDataTooBig,
    SuspiciousOperation,
    TooManyFieldsSent,
    TooManyFilesSent,
)
from django.db import DatabaseError, DataError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views import defaults
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError
from psycopg.errors import DiskFull

from accounts.authentication import InsufficientScope, SessionRequired
from accounts.rate_limits import Throttled
from transcodio_site.middleware import ERROR_MESSAGES
from transcriptions.api.errors import ApiError
from transcriptions.exceptions import (
    DATABASE_AWAY,
    STORAGE_UNAVAILABLE_MESSAGE,
    StorageUnavailable,
    is_disk_full,
)
from transcriptions.uploads.requests import FORM, no_recording
from transcriptions.uploads.service import UploadRefused, disk_full

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Problem:
    """An error, before an API formats it."""

    status: int
    code: str
    detail: str
    param: str | None = None  # the name of the invalid field, if any
    headers: dict[str, str] = field(default_factory=dict)


Describe = Callable[[HttpRequest, Any], Problem]


def register_error_handlers(api: NinjaAPI, to_response: Callable[[Problem], HttpResponse]) -> None:
    """Register handlers for all errors of PROBLEMS; `to_response` formats them."""

    def handle(request: HttpRequest, error: Any, describe: Describe) -> HttpResponse:
        return to_response(describe(request, error))

    for kind, describe in PROBLEMS.items():
        api.add_exception_handler(kind, partial(handle, describe=describe))


def _not_authenticated(request: HttpRequest, error: AuthenticationError) -> Problem:
    detail = gettext("Send a valid API token in the header: Authorization: Bearer tk_...")
    return Problem(401, "not_authenticated", detail, headers={"WWW-Authenticate": "Bearer"})


def _throttled(request: HttpRequest, error: Throttled) -> Problem:
    headers = {"Retry-After": str(error.wait)}
    return Problem(error.status, error.code, str(error), headers=headers)


def _refused(request: HttpRequest, error: ApiError | UploadRefused) -> Problem:
    wait = getattr(error, "wait", None)
    headers = {} if wait is None else {"Retry-After": str(wait)}
    return Problem(error.status, error.code, str(error), getattr(error, "param", None), headers)


def _too_large(request: HttpRequest, error: SuspiciousOperation) -> Problem:
    """The body exceeds what Django reads into memory: a recording that was sent as a URL-encoded
    form, curl's default, or a large body where none was expected."""
    if request.content_type == FORM and request.method == "POST":
        return _refused(request, no_recording())
    return _standard_problem(413)


def _http_error(request: HttpRequest, error: HttpError) -> Problem:
    codes = {400: "bad_request", 403: "forbidden"}
    detail = next(
        (message for start, message in LIBRARY_MESSAGES.items() if str(error).startswith(start)), ""
    )
    code = codes.get(error.status_code, "error")
    return Problem(error.status_code, code, str(detail or error))


def _disk_full(request: HttpRequest, error: OSError) -> Problem:
    if not is_disk_full(error):
        raise error
    log.error("the disk is full: %s", error)
    return _refused(request, disk_full())


def _storage_unavailable(request: HttpRequest, error: StorageUnavailable) -> Problem:
    log.error("the storage is unavailable: %s", error)
    headers = {"Retry-After": str(RETRY_AFTER_S)}
    return Problem(503, "storage_unavailable", str(STORAGE_UNAVAILABLE_MESSAGE), headers=headers)


def _database_unavailable(request: HttpRequest, error: DatabaseError) -> Problem:
    log.error("database error", exc_info=error)
    if isinstance(error.__cause__, DiskFull):
        return _refused(request, disk_full())
    return _standard_problem(503, {"Retry-After": str(RETRY_AFTER_S)})


def _invalid_value(request: HttpRequest, error: DataError) -> Problem:
    """A value that a column cannot store, such as a number out of its range."""
    log.warning("invalid value in a request", exc_info=error)
    return _standard_problem(400)


def _standard_problem(status: int, headers: dict[str, str] | None = None) -> Problem:
    code, detail = ERROR_MESSAGES[status]
    return Problem(status, code, str(detail), headers=headers or {})


def server_error(request: HttpRequest) -> HttpResponse:
    """The error page for URLs outside of the APIs."""
    response = defaults.server_error(request)
    error = sys.exc_info()[1]
    if isinstance(error, OSError) and is_disk_full(error):
        response.status_code = 507
    if isinstance(error, (*DATABASE_AWAY, StorageUnavailable)):
        response.status_code = 503
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response


def _invalid(request: HttpRequest, error: ValidationError) -> Problem:
    """The first invalid field, with the reason."""
    first = error.errors[0]
    kind, name = first["type"], [part for part in first["loc"] if isinstance(part, str)][-1]
    if kind == "missing":
        detail = gettext("The field %(field)s is missing.") % {"field": repr(name)}
        return Problem(422, "missing_field", detail, name)
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return Problem(422, "invalid_body", gettext("Send a JSON object as the body."))
    if known := INVALID_VALUES.get(kind):
        reason = str(known) % first.get("ctx", {})
    else:
        reason = first["msg"].removeprefix("Value error, ").rstrip(".")
    detail = gettext("The field %(field)s: %(reason)s.") % {"field": repr(name), "reason": reason}
    return Problem(422, "invalid_field", detail, name)


# Our messages, by the first words of the library's message.
LIBRARY_MESSAGES = {
    "Cannot parse request body": _("The body is not valid JSON."),
    "CSRF check Failed": _(
        "The header X-CSRFToken is missing or does not match the session. Reload the page."
    ),
}
# Reasons by the type of pydantic's error; the values are those of its context.
INVALID_VALUES = {
    "string_pattern_mismatch": _("it is empty or has characters that are not allowed"),
    "string_too_long": _("it can have at most %(max_length)d characters"),
    "string_too_short": _("its minimum length is %(min_length)d"),
    "too_long": _("it can have at most %(max_length)d items"),
    "too_short": _("its minimum number of items is %(min_length)d"),
    "greater_than_equal": _("it must be at least %(ge)s"),
    "less_than_equal": _("it can be at most %(le)s"),
    "greater_than": _("it must be greater than %(gt)s"),
    "less_than": _("it must be less than %(lt)s"),
    "literal_error": _("it must be %(expected)s"),
    "enum": _("it must be %(expected)s"),
    "extra_forbidden": _("there is no such field"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), _("it must be an integer")),
    **dict.fromkeys(("float_type", "float_parsing"), _("it must be a number")),
    **dict.fromkeys(("bool_type", "bool_parsing"), _("it must be true or false")),
    "string_type": _("it must be a string"),
    "list_type": _("it must be a list"),
}
BAD_FORM = _("The form cannot be read. Let your client set the Content-Type with its boundary.")
RETRY_AFTER_S = 5  # when the database or the storage is unreachable
TOO_MANY_FILES = _("Send one recording per request, as the field 'file'.")

PROBLEMS: dict[type[Exception], Describe] = {
    AuthenticationError: _not_authenticated,
    SessionRequired: lambda request, error: Problem(403, "session_only", str(error)),
    InsufficientScope: lambda request, error: Problem(403, "insufficient_scope", str(error)),
    Throttled: _throttled,
    RequestDataTooBig: _too_large,
    TooManyFieldsSent: _too_large,
    TooManyFilesSent: lambda request, error: Problem(400, "too_many_files", str(TOO_MANY_FILES)),
    MultiPartParserError: lambda request, error: Problem(400, "bad_form", str(BAD_FORM)),
    UploadRefused: _refused,
    ApiError: _refused,
    Http404: lambda request, error: Problem(404, "not_found", str(error)),
    HttpError: _http_error,
    StorageUnavailable: _storage_unavailable,
    OSError: _disk_full,
    **dict.fromkeys(DATABASE_AWAY, _database_unavailable),
    DataError: _invalid_value,
    ValidationError: _invalid,
}
