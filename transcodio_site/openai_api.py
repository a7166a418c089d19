"""The OpenAI-compatible audio API under `/v1`."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from ninja import NinjaAPI

from accounts.authentication import TokenAuth
from transcodio_site import __version__
from transcodio_site.errors import Problem, register_error_handlers
from transcriptions.api.openai.errors import error_body
from transcriptions.api.openai.realtime.views import router as realtime
from transcriptions.api.openai.views import router

MAX_RETRY_WAIT_S = 60  # after a longer wait clients should not retry
# OpenAI's status and code for our error codes that differ from theirs.
OPENAI_ERRORS = {
    "not_authenticated": (401, "invalid_api_key"),
    "missing_field": (400, "missing_parameter"),
    "invalid_field": (400, "invalid_parameter"),
    "invalid_body": (400, "invalid_parameter"),
    "unsupported_task": (400, "not_offered"),
}

openai_api = NinjaAPI(
    title="Transcodio: OpenAI-compatible audio API",
    version=__version__,
    urls_namespace="openai",
    docs_url=None,
    openapi_url=None,
    auth=TokenAuth(),
)
openai_api.add_router("", router)
openai_api.add_router("", realtime)


def _error(problem: Problem) -> HttpResponse:
    status, code = OPENAI_ERRORS.get(problem.code, (problem.status, problem.code))
    # Without Retry-After, a retry would fail too. The official client reads `x-should-retry`.
    wait = int(problem.headers.get("Retry-After", MAX_RETRY_WAIT_S + 1))
    should_retry = wait <= MAX_RETRY_WAIT_S
    return JsonResponse(
        error_body(code, problem.detail, problem.param, status),
        status=status,
        headers=problem.headers | {"x-should-retry": str(should_retry).lower()},
    )


register_error_handlers(openai_api, _error)


@require_safe
def openai_root(request: HttpRequest) -> HttpResponse:
    """Confirm the base URL to clients and people that check it."""
    return JsonResponse({"object": "api", "documentation": "/docs/api/#openai-compatible-api"})
