"""The API of whisper-asr-webservice: see transcriptions/api/asr.py."""

from __future__ import annotations

from ninja import NinjaAPI

from accounts.authentication import TokenAuth
from transcodio_site import __version__
from transcodio_site.api import error_response
from transcodio_site.errors import register_error_handlers
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
register_error_handlers(asr_api, error_response)
