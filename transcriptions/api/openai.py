"""OpenAI-compatible audio API: `POST /v1/audio/transcriptions` and `GET /v1/models`.

Requests and responses follow https://platform.openai.com/docs/api-reference/audio. Recordings
uploaded here appear in the library like any others.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import Annotated, Any, Literal

from asgiref.sync import async_to_sync
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from ninja import File, Form, Router, UploadedFile

from accounts import concurrency
from accounts.authentication import authenticated_user, is_still_authorized
from gpu.joining import join, separator
from gpu.languages import LANGUAGES
from transcriptions import permissions
from transcriptions.api.errors import ApiError, failure_error, failure_status
from transcriptions.api.transcriptions import IdempotencyKeyHeader
from transcriptions.exports.documents import EXPORTERS
from transcriptions.exports.service import transcript_of
from transcriptions.models import State, Transcription
from transcriptions.realtime import streams
from transcriptions.realtime.sse import sse_response
from transcriptions.realtime.streams import wait_for_end
from transcriptions.schemas.events import CompleteEvent, ErrorEvent, ProgressEvent
from transcriptions.uploads.params import UploadParams
from transcriptions.uploads.requests import create_from_request
from transcriptions.uploads.service import UploadRefused

router = Router()

# All of these names select the one configured engine, so that clients work unchanged.
MODELS = (
    "transcodio",
    "whisper-1",
    "gpt-transcribe",
    "gpt-4o-transcribe",
    "gpt-4o-mini-transcribe",
)
RAW_FORMATS = {"text": "txt", "srt": "srt", "vtt": "vtt"}
GRANULARITIES = {"word", "segment"}

Format = Literal["json", "text", "srt", "verbose_json", "vtt"]


class InvalidParameter(ApiError):
    """An error that names the invalid parameter."""

    def __init__(self, status: int, code: str, detail: str, param: str) -> None:
        super().__init__(status, code, detail)
        self.param = param


def error_body(
    code: str, message: str, param: str | None = None, status: int = 400
) -> dict[str, Any]:
    """The body of an error response. The official client reads all four keys."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    if status == 429:
        kind = "insufficient_quota" if code == "quota_exceeded" else "rate_limit_error"
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


@router.get("/models")
def list_models(request: HttpRequest) -> dict[str, Any]:
    """List the supported model names."""
    return {"object": "list", "data": [_model(name) for name in MODELS]}


@router.get("/models/{name}")
def get_model(request: HttpRequest, name: str) -> dict[str, Any]:
    """Get a model."""
    _check_model(name)
    return _model(name)


@router.post("/audio/translations")
def create_translation(request: HttpRequest) -> None:
    """Translation is not supported."""
    message = _("Translation is not supported. Transcribe the recording, then translate the text.")
    raise ApiError(400, "not_offered", message)


@router.post("/audio/transcriptions")
def create_transcription(
    request: HttpRequest,
    file: Annotated[UploadedFile, File()],
    model: Annotated[str, Form()],
    language: Annotated[str, Form()] = "",
    response_format: Annotated[Format, Form()] = "json",
    temperature: Annotated[float, Form(ge=0, le=1)] = 0.0,
    stream: Annotated[bool, Form()] = False,
    key: IdempotencyKeyHeader = "",
) -> HttpResponseBase:
    """Transcribe a recording; with `stream=true`, stream the text as it is recognized.

    `temperature` and `prompt` are accepted and ignored.
    """
    _check_model(model)
    _check_include(request)
    granularities = _granularities(request, response_format)
    user = authenticated_user(request)
    if stream:
        concurrency.streams.check(user)  # before the recording is stored
        row = _create(request, file, language, key)
        return sse_response(user, _stream_lines(request, row))
    with concurrency.streams.hold(user):
        row = _create(request, file, language, key)
        connections.close_all()  # no database connection is needed while waiting
        async_to_sync(wait_for_end)(row.id)
    row = permissions.transcription_for(user, row.id)
    if row.state != State.COMPLETED:
        raise failure_error(row.error_code, row.error_message, 400)
    return _transcript_response(row, response_format, granularities)


def _create(request: HttpRequest, file: UploadedFile, language: str, key: str) -> Transcription:
    """Create the transcription once, although the official client retries without a key.

    Its retry counter identifies retries, which must not be stored and charged again.
    """
    retry_count = request.headers.get("x-stainless-retry-count", "")
    attempt = int(retry_count) if re.fullmatch(r"\d{1,3}", retry_count) else None
    try:
        return create_from_request(request, file, UploadParams(language=language), key, attempt)
    except UploadRefused as error:
        if error.code == "unknown_language":
            raise InvalidParameter(400, error.code, str(error), "language") from None
        raise


def _check_model(name: str) -> None:
    if name not in MODELS:
        message = _("The model %(name)r does not exist. Use one of %(models)s.") % {
            "name": name[:60],
            "models": ", ".join(MODELS),
        }
        raise InvalidParameter(404, "model_not_found", message, "model")


def _granularities(request: HttpRequest, response_format: str) -> set[str]:
    requested = _list_values(request, "timestamp_granularities")
    if requested - GRANULARITIES:
        message = _("'timestamp_granularities[]' must contain 'word' or 'segment'.")
        raise InvalidParameter(400, "invalid_parameter", message, "timestamp_granularities")
    if requested and response_format != "verbose_json":
        message = _("Timestamps require response_format=verbose_json.")
        raise InvalidParameter(400, "invalid_parameter", message, "timestamp_granularities")
    return requested or {"segment"}


def _check_include(request: HttpRequest) -> None:
    """Reject log probabilities: a client that needs them must not misread their absence."""
    if _list_values(request, "include"):
        message = _("Log probabilities are not supported. Omit the field 'include'.")
        raise InvalidParameter(400, "not_offered", message, "include")


def _list_values(request: HttpRequest, name: str) -> set[str]:
    """The values of a repeatable field. The official client appends brackets to its name; other
    clients omit them."""
    return {*request.POST.getlist(f"{name}[]"), *request.POST.getlist(name)}


def _transcript_response(
    row: Transcription, response_format: str, granularities: set[str]
) -> HttpResponse:
    if response_format in RAW_FORMATS:
        exporter = EXPORTERS[RAW_FORMATS[response_format]]
        content = exporter.write(transcript_of(row, words=exporter.words))
        return HttpResponse(content, content_type=exporter.media_type)
    segments = transcript_of(row, words="word" in granularities).segments
    text = join(segment["text"] for segment in segments)
    body: dict[str, Any] = {"text": text, "usage": _usage(row.duration)}
    if response_format == "verbose_json":
        body |= {
            "task": "transcribe",
            "language": LANGUAGES.get(row.language, row.language).lower(),
            "duration": row.duration or 0.0,
        }
        if "segment" in granularities:
            body["segments"] = [_segment(segment) for segment in segments]
        if "word" in granularities:
            body["words"] = [
                {"word": word["text"], "start": word["start"], "end": word["end"]}
                for segment in segments
                for word in segment["words"]
            ]
    return HttpResponse(json.dumps(body, ensure_ascii=False), content_type="application/json")


def _segment(segment: dict[str, Any]) -> dict[str, Any]:
    """All keys that clients may read. Keys that only Whisper provides have neutral values."""
    return {
        "id": segment["id"] - 1,
        "seek": 0,
        "start": segment["start"],
        "end": segment["end"],
        "text": f" {segment['text']}",
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": 0.0,
        "compression_ratio": 1.0,
        "no_speech_prob": 0.0,
    }


async def _stream_lines(request: HttpRequest, row: Transcription) -> AsyncGenerator[str]:
    """Text deltas. Their concatenation is the whole text, which the last event repeats."""
    text = ""
    is_authorized = partial(is_still_authorized, request)
    events = streams.subscribe_while_authorized(
        is_authorized, authenticated_user(request).pk, row.id
    )
    async with aclosing(events):
        async for event in events:
            match event:
                case None:
                    yield ": keep-alive\n\n"
                case ProgressEvent():
                    delta = separator(text, event.segment.text) + event.segment.text
                    text += delta
                    yield _sse_message({"type": "transcript.text.delta", "delta": delta})
                case CompleteEvent():
                    usage = _usage(event.duration)
                    yield _sse_message(
                        {"type": "transcript.text.done", "text": text, "usage": usage}
                    )
                case ErrorEvent():
                    status = failure_status(event.code, 400)
                    yield _sse_message(error_body(event.code, event.detail, status=status))


def _sse_message(message: dict[str, Any]) -> str:
    return f"data: {json.dumps(message, ensure_ascii=False)}\n\n"


def _usage(duration: float | None) -> dict[str, Any]:
    return {"type": "duration", "seconds": round(duration or 0.0)}


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 1_750_000_000, "owned_by": "transcodio"}
