"""OpenAPI details that many operations share: errors, headers, and parameters."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from ninja import NinjaAPI
from ninja.operation import Operation

from accounts.authentication import READ_METHODS, TokenAuth
from accounts.models import Scope

# An example error (code, detail) by HTTP status.
ERRORS = {
    400: ("bad_request", "The body is not valid JSON."),
    401: ("not_authenticated", "Send a valid API token."),
    403: ("insufficient_scope", "This token lacks the scope transcriptions:write."),
    404: ("not_found", "There is no such transcription."),
    408: ("too_slow", "The upload is too slow. Check your connection and try again."),
    409: ("not_completed", "The transcript is not complete yet."),
    414: ("uri_too_long", "The URL is too long."),
    410: (
        "idempotency_result_gone",
        "The recording created with this Idempotency-Key has been deleted. Use a new key.",
    ),
    413: ("file_too_large", "The file is larger than 2 GB."),
    415: ("unsupported_format", "Unsupported file format."),
    422: ("invalid_field", "The field 'limit': it can be at most 100."),
    429: (
        "rate_limited",
        "Rate limit exceeded (300 per 1 minute per token). Try again in 12 seconds.",
    ),
    503: ("queue_full", "Too many recordings are waiting at the moment. Try again later."),
    507: (
        "disk_full",
        "There is not enough disk space for this recording. Please try again later.",
    ),
}
STRING, INTEGER = {"type": "string"}, {"type": "integer"}


def _header(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "schema": schema}


REQUEST_ID = {
    "X-Request-ID": _header("The request ID: yours if you sent one. It is logged.", STRING)
}
RATE_LIMIT = {
    "RateLimit-Limit": _header("Requests allowed per window", INTEGER),
    "RateLimit-Remaining": _header("Requests remaining in the window", INTEGER),
    "RateLimit-Reset": _header("Seconds until the limit resets", INTEGER),
}
RETRY_AFTER = {"Retry-After": _header("Seconds to wait before retrying", INTEGER)}
ETAG = {"ETag": _header("Identifies this version of the content; see `If-None-Match`", STRING)}


def _header_parameter(name: str, description: str) -> dict[str, Any]:
    return {
        "in": "header",
        "name": name,
        "required": False,
        "description": description,
        "schema": STRING,
    }


IF_NONE_MATCH = _header_parameter(
    "If-None-Match", "The `ETag` of your copy; the response is 304 if it is unchanged"
)
NOT_MODIFIED = {"description": "Not modified."}
LAST_EVENT_ID = _header_parameter("Last-Event-ID", "The `id` of the last event you received")
AFTER = {**LAST_EVENT_ID, "in": "query", "name": "after", "description": "Same as `Last-Event-ID`"}
RANGE = _header_parameter("Range", "For example, `bytes=0-1023`")


class DocumentedAPI(NinjaAPI):
    """A NinjaAPI that also documents headers, errors and scopes."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._scopes: dict[str, str | None] = {}

    def get_openapi_operation_id(self, operation: Operation) -> str:
        """The name of the view function. Unlike Ninja's default, it is stable when modules move."""
        name: str = operation.view_func.__name__
        self._scopes[name] = _required_scope(operation)
        return name

    def get_openapi_schema(self, **options: Any) -> Any:
        """The OpenAPI document."""
        document = super().get_openapi_schema(**options)
        for path, operations in document["paths"].items():
            for method, shared in operations.items():  # GET and HEAD of one view share an object
                operations[method] = operation = deepcopy(shared)
                if scope := self._scopes.get(operation["operationId"]):
                    operation["x-required-scope"] = scope
                _complete(path, method, operation)
        _remove_unused_schemas(document)
        return document


def _required_scope(operation: Operation) -> str | None:
    """The scope that a token needs; None if tokens are not accepted."""
    for auth in operation.auth_callbacks:
        if isinstance(auth, TokenAuth):
            default = Scope.READ if {*operation.methods} <= {*READ_METHODS} else Scope.WRITE
            return str(auth.scope or default)
    return None


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    is_stream = path.endswith("/events")
    if method == "head":
        operation["operationId"] += "_head"  # operation ids must be unique
    operation["summary"] = operation["summary"].capitalize()
    parameters = operation.setdefault("parameters", [])
    if method == "get" and not is_stream:
        parameters.append(IF_NONE_MATCH)
        operation["responses"].setdefault(304, NOT_MODIFIED)
    if is_stream:
        parameters.extend((LAST_EVENT_ID, AFTER))
    if path.endswith("/audio"):
        parameters.append(RANGE)
    _require_file(operation)
    for status, response in operation["responses"].items():
        _complete_response(int(status), response, has_etag=method == "get" and not is_stream)


def _complete_response(status: int, response: dict[str, Any], has_etag: bool) -> None:
    response["headers"] = {
        **REQUEST_ID,
        **(RATE_LIMIT if status not in (401, 408, 413) else {}),
        **(ETAG if has_etag and status in (200, 206) else {}),
        **(RETRY_AFTER if status in (429, 503) else {}),
        **response.get("headers", {}),
    }
    if status in ERRORS:
        code, detail = ERRORS[status]
        response["content"]["application/json"]["example"] = {"detail": detail, "code": code}


def _require_file(operation: dict[str, Any]) -> None:
    """A form must have the file. To Ninja it is optional, as the body can be the file itself."""
    form = operation.get("requestBody", {}).get("content", {}).get("multipart/form-data")
    if form:
        file = form["schema"]["properties"]["file"]
        file |= file.pop("anyOf")[0]  # without null
        form["schema"]["required"] = ["file"]


def _remove_unused_schemas(document: dict[str, Any]) -> None:
    """Remove schemas that Ninja adds for form fields and query parameters, which it also lists one
    by one."""
    schemas = document["components"]["schemas"]
    while unused := schemas.keys() - _references(document):
        for name in unused:
            del schemas[name]


def _references(part: Any) -> set[str]:
    """The names of all schemas that the document refers to."""
    if isinstance(part, dict):
        own = {part["$ref"].rsplit("/", 1)[1]} if "$ref" in part else set()
        return own.union(*map(_references, part.values()))
    return set().union(*map(_references, part)) if isinstance(part, list) else set()
