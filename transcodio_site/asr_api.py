"""The API of whisper-asr-webservice: see transcriptions/api/asr.py."""

from __future__ import annotations

from django.http import HttpResponse
from ninja import NinjaAPI

from accounts.authentication import TokenAuth
from transcodio_site import __version__
from transcodio_site.api import error_response
from transcodio_site.errors import Problem, register_error_handlers
from transcriptions.api.asr import router

asr_api = NinjaAPI(
    title="Transcodio: the API of whisper-asr-webservice",
    version=__version__,
    urls_namespace="asr",
    docs_url=None,
    openapi_url=None,
    auth=TokenAuth(),
)
asr_api.add_router("", router)


def challenging_response(problem: Problem) -> HttpResponse:
    """The response to an error. Clients with the network stack of Chromium send the token in the
    URL of the server only when they are asked for basic authentication."""
    response = error_response(problem)
    if "WWW-Authenticate" in response:
        response["WWW-Authenticate"] = 'Basic realm="Transcodio", charset="UTF-8"'
    return response


register_error_handlers(asr_api, challenging_response)
