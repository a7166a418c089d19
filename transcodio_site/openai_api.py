"""The root of `/v1`: OpenAI's audio API, for programs that speak it already."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError

from accounts.authentication import ScopeMissing, TokenAuth
from accounts.limits import TooMany
from transcodio_site import __version__
from transcriptions.api import ApiError
from transcriptions.intake import no_recording
from transcriptions.openai import error_body, router
from transcriptions.uploads import UploadRefused

LONGEST_WAIT = 60  # seconds that a client may reasonably sleep before it tries again

openai_api = NinjaAPI(
    title="Transcodio, as OpenAI's audio API",
    version=__version__,
    urls_namespace="openai",
    docs_url=None,
    openapi_url=None,
    auth=TokenAuth(),
)
openai_api.add_router("", router)


def _error(
    request: HttpRequest, status: int, code: str, message: str, param: str | None = None
) -> HttpResponse:
    response = openai_api.create_response(request, error_body(code, message, param), status=status)
    # What failed once fails again; the official client asks before it tries.
    response["x-should-retry"] = "true" if status == 429 else "false"
    return response


@openai_api.exception_handler(AuthenticationError)
def _not_authenticated(request: HttpRequest, error: Any) -> HttpResponse:
    message = "Send a valid API token as the key: Authorization: Bearer tk_..."
    response = _error(request, 401, "invalid_api_key", message)
    response["WWW-Authenticate"] = "Bearer"
    return response


@openai_api.exception_handler(ScopeMissing)
def _scope_missing(request: HttpRequest, error: Any) -> HttpResponse:
    return _error(request, 403, "insufficient_scope", str(error))


@openai_api.exception_handler(TooMany)
def _too_many(request: HttpRequest, error: Any) -> HttpResponse:
    response = _error(request, 429, error.code, str(error))
    response["Retry-After"] = str(error.wait)
    if error.wait > LONGEST_WAIT:
        response["x-should-retry"] = "false"
    return response


@openai_api.exception_handler(RequestDataTooBig)
def _no_form(request: HttpRequest, error: Any) -> HttpResponse:
    """Django reads what is called a form into memory, and a recording is too large for that."""
    return _refused(request, no_recording())


@openai_api.exception_handler(UploadRefused)
@openai_api.exception_handler(ApiError)
def _refused(request: HttpRequest, error: Any) -> HttpResponse:
    return _error(request, error.status, error.code, str(error), getattr(error, "param", None))


@openai_api.exception_handler(Http404)
def _not_found(request: HttpRequest, error: Any) -> HttpResponse:
    return _error(request, 404, "not_found", str(error))


@openai_api.exception_handler(HttpError)
def _http_error(request: HttpRequest, error: Any) -> HttpResponse:
    return _error(request, error.status_code, "bad_request", str(error))


@openai_api.exception_handler(ValidationError)
def _invalid(request: HttpRequest, error: Any) -> HttpResponse:
    first = error.errors[0]
    field = str(first["loc"][-1])
    if first["type"] == "missing":
        return _error(request, 400, "missing_parameter", f"The field {field!r} is missing.", field)
    message = f"The field {field!r}: {first['msg']}."
    return _error(request, 400, "invalid_parameter", message, field)
