"""The OpenAI-compatible audio API under `/v1`."""

from __future__ import annotations

from django.http import HttpResponse, JsonResponse
from ninja import NinjaAPI

from accounts.authentication import TokenAuth
from transcodio_site import __version__
from transcodio_site.errors import Problem, answer_errors
from transcriptions.api.openai import error_body, router

LONGEST_WAIT = 60  # seconds that a client may reasonably sleep before it tries again
# What they call otherwise, and their status for it.
THEIRS = {
    "not_authenticated": (401, "invalid_api_key"),
    "missing_field": (400, "missing_parameter"),
    "invalid_field": (400, "invalid_parameter"),
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


def _error(problem: Problem) -> HttpResponse:
    status, code = THEIRS.get(problem.code, (problem.status, problem.code))
    # What failed once fails again; the official client asks before it tries.
    wait = int(problem.headers.get("Retry-After", LONGEST_WAIT + 1))
    again = wait <= LONGEST_WAIT
    return JsonResponse(
        error_body(code, problem.detail, problem.param, status),
        status=status,
        headers=problem.headers | {"x-should-retry": str(again).lower()},
    )


answer_errors(openai_api, _error)
