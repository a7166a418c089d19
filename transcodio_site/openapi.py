"""Completes the OpenAPI document with what many operations share: errors, headers, scopes."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from ninja import NinjaAPI
from ninja.operation import Operation

from accounts.authentication import READING, TokenAuth
from accounts.models import Scope

# A typical error of each status.
ERRORS = {
    400: ("bad_request", "The request could not be understood."),
    401: (
        "not_authenticated",
        "Send a valid API token.",
    ),
    403: (
        "insufficient_scope",
        "This token lacks the scope transcriptions:write. Create a token that has it.",
    ),
    404: ("not_found", "There is no such transcription."),
    409: ("not_completed", "There is no finished transcript to export yet."),
    410: ("idempotency_result_gone", "The recording of this Idempotency-Key has been deleted."),
    413: ("file_too_large", "The file is larger than 2048 MB."),
    415: ("unsupported_format", "This is not a recording in a format we can read."),
    422: ("invalid_field", "The field 'language': unknown."),
    429: (
        "rate_limited",
        "Rate limit of this token exceeded (300 per 1 minute). Try again in 12 s.",
    ),
    503: ("engine_unavailable", "Speech recognition is not available at the moment."),
    507: ("disk_full", "There is no room for this recording just now."),
}
TEXT, NUMBER = {"type": "string"}, {"type": "integer"}


def _header(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "schema": schema}


ALWAYS = {"X-Request-ID": _header("Id of the request in the log; yours if you send one", TEXT)}
COUNTED = {
    "RateLimit-Limit": _header("Requests allowed in a window", NUMBER),
    "RateLimit-Remaining": _header("Remaining requests", NUMBER),
    "RateLimit-Reset": _header("Seconds until the window resets", NUMBER),
}
RETRY_AFTER = {"Retry-After": _header("Seconds to wait", NUMBER)}
TAGGED = {"ETag": _header("Version of the content, for `If-None-Match`", TEXT)}


def _asks(name: str, description: str) -> dict[str, Any]:
    return {
        "in": "header",
        "name": name,
        "required": False,
        "description": description,
        "schema": TEXT,
    }


IF_NONE_MATCH = _asks("If-None-Match", "`ETag` of an earlier answer: 304 if nothing has changed")
UNCHANGED = {"description": "Nothing has changed."}
LAST_EVENT_ID = _asks("Last-Event-ID", "`id` of the last event that you have received")
AFTER = {
    **LAST_EVENT_ID,
    "in": "query",
    "name": "after",
    "description": "The same as `Last-Event-ID`",
}
RANGE = _asks("Range", "For example `bytes=0-1023`")


class DocumentedAPI(NinjaAPI):
    """NinjaAPI whose document includes what middleware and authentication do."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._scopes: dict[str, str | None] = {}

    def get_openapi_operation_id(self, operation: Operation) -> str:
        """See ninja. Called for every operation of the document."""
        name: str = super().get_openapi_operation_id(operation)
        self._scopes[name] = _scope_of(operation)
        return name

    def get_openapi_schema(self, **options: Any) -> Any:
        """The document."""
        document = super().get_openapi_schema(**options)
        for path, operations in document["paths"].items():
            for method, shared in operations.items():  # of one view with two methods
                operations[method] = operation = deepcopy(shared)
                _complete(path, method, operation)
                if scope := self._scopes.get(operation["operationId"]):
                    operation["x-required-scope"] = scope
        return document


def _scope_of(operation: Operation) -> str | None:
    """What a token needs for it; None where no token will do."""
    for auth in operation.auth_callbacks:
        if isinstance(auth, TokenAuth):
            default = Scope.READ if {*operation.methods} <= {*READING} else Scope.WRITE
            return str(auth.scope or default)
    return None


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    streams = path.endswith("/events")
    parameters = operation.setdefault("parameters", [])
    if method == "get" and not streams:
        parameters.append(IF_NONE_MATCH)
        operation["responses"].setdefault(304, UNCHANGED)
    if streams:
        parameters.extend((LAST_EVENT_ID, AFTER))
    if path.endswith("/audio"):
        parameters.append(RANGE)
    for status, response in operation["responses"].items():
        _answer(int(status), response, tagged=method == "get" and not streams)


def _answer(status: int, response: dict[str, Any], tagged: bool) -> None:
    response["headers"] = {
        **ALWAYS,
        **(COUNTED if status not in (401, 413) else {}),
        **(TAGGED if tagged and status in (200, 206) else {}),
        **(RETRY_AFTER if status == 429 else {}),
        **response.get("headers", {}),
    }
    if status in ERRORS:
        code, detail = ERRORS[status]
        response["content"]["application/json"]["example"] = {"detail": detail, "code": code}
