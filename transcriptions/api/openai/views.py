"""OpenAI-compatible audio API: `POST /v1/audio/transcriptions` and `GET /v1/models`.

Requests and responses follow https://platform.openai.com/docs/api-reference/audio. Recordings
uploaded here appear in the library like any others.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Annotated, Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from ninja import File, Router, UploadedFile

from accounts import concurrency
from accounts.authentication import authenticated_user
from transcriptions.api.openai.known_speakers import decode
from transcriptions.api.openai.models import MODELS, check_model, model_object
from transcriptions.api.openai.params import TranscriptionParams
from transcriptions.api.openai.responses import answer_in_format
from transcriptions.api.openai.streaming import stream_lines
from transcriptions.api.transcriptions import IdempotencyKeyHeader
from transcriptions.api.waiting import answer_at_end
from transcriptions.models import Transcription
from transcriptions.realtime.sse import sse_response
from transcriptions.uploads.requests import create_from_request

router = Router()


@router.get("/models")
def list_models(request: HttpRequest) -> dict[str, Any]:
    """List the supported model names."""
    return {"object": "list", "data": [model_object(name) for name in MODELS]}


@router.get("/models/{path:name}")
def get_model(request: HttpRequest, name: str) -> dict[str, Any]:
    """Get a model."""
    check_model(name)
    return model_object(name)


@router.post("/audio/translations")
def create_translation(
    request: HttpRequest, file: Annotated[UploadedFile, File()], key: IdempotencyKeyHeader = ""
) -> HttpResponseBase:
    """Translate a recording into English, if the speech engine can."""
    params = TranscriptionParams.from_form(request.POST, task="translate")
    create = partial(_create, request, file, params, key)
    return answer_at_end(authenticated_user(request), create, answer_in_format(params))


@router.post("/audio/transcriptions")
def create_transcription(
    request: HttpRequest, file: Annotated[UploadedFile, File()], key: IdempotencyKeyHeader = ""
) -> HttpResponseBase:
    """Transcribe a recording; with `stream=true`, stream the text as it is recognized."""
    params = TranscriptionParams.from_form(request.POST)
    user = authenticated_user(request)
    if params.is_stream:
        concurrency.streams.check(user)  # before the recording is stored
        row = _create(request, file, params, key)
        return sse_response(user, stream_lines(request, row, params))
    create = partial(_create, request, file, params, key)
    return answer_at_end(user, create, answer_in_format(params))


def _create(
    request: HttpRequest, file: UploadedFile, params: TranscriptionParams, key: str
) -> Transcription:
    """Create the transcription only once, although the official client retries without a key.

    Its retry counter identifies retries, which must not be stored and charged again.
    """
    retry_count = request.headers.get("x-stainless-retry-count", "")
    attempt = int(retry_count) if re.fullmatch(r"\d{1,3}", retry_count) else None
    references = decode(params.known_speakers)
    return create_from_request(request, file, params.upload, key, attempt, references)
