"""OpenAI's audio API over our own library: `POST /v1/audio/transcriptions`, `GET /v1/models`.

https://platform.openai.com/docs/api-reference/audio: what a program that was written for it sends
and expects. A recording that comes this way is in the library like any other.
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
from ninja import File, Form, Router, UploadedFile

from accounts.authentication import authenticated_user, is_still_authorized
from gpu.languages import LANGUAGES
from transcriptions import permissions
from transcriptions.api.errors import ApiError, refusal, status_of
from transcriptions.api.transcriptions import Key
from transcriptions.exports.documents import EXPORTERS
from transcriptions.exports.service import transcript_of
from transcriptions.models import State, Transcription
from transcriptions.realtime import streams
from transcriptions.realtime.sse import streamed
from transcriptions.realtime.streams import wait_for_end
from transcriptions.schemas.events import CompleteEvent, ErrorEvent, ProgressEvent
from transcriptions.schemas.transcripts import TranscriptOut
from transcriptions.uploads.params import UploadParams
from transcriptions.uploads.requests import create_from_request
from transcriptions.uploads.service import UploadRefused

router = Router()

# One engine answers to all of these names, so that a program need not be changed.
MODELS = (
    "transcodio",
    "whisper-1",
    "gpt-transcribe",
    "gpt-4o-transcribe",
    "gpt-4o-mini-transcribe",
)
RAW = {"text": "txt", "srt": "srt", "vtt": "vtt"}
GRANULARITIES = {"word", "segment"}

Format = Literal["json", "text", "srt", "verbose_json", "vtt"]


class Refused(ApiError):
    """An error that names the parameter to be changed."""

    def __init__(self, status: int, code: str, detail: str, param: str) -> None:
        super().__init__(status, code, detail)
        self.param = param


def error_body(
    code: str, message: str, param: str | None = None, status: int = 400
) -> dict[str, Any]:
    """All four keys are always there: the official client reads them."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    if status == 429:
        kind = "insufficient_quota" if code == "quota_exceeded" else "rate_limit_error"
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


@router.get("/models")
def models(request: HttpRequest) -> dict[str, Any]:
    """The names under which the one engine answers."""
    return {"object": "list", "data": [_model(name) for name in MODELS]}


@router.get("/models/{name}")
def model(request: HttpRequest, name: str) -> dict[str, Any]:
    """One of them."""
    _check_model(name)
    return _model(name)


@router.post("/audio/translations")
def translate(request: HttpRequest) -> None:
    """Not offered, and said so."""
    raise ApiError(
        400, "not_offered", "Translation is not offered: transcribe, then translate the text."
    )


@router.post("/audio/transcriptions")
def transcribe(
    request: HttpRequest,
    file: Annotated[UploadedFile, File()],
    model: Annotated[str, Form()],
    language: Annotated[str, Form()] = "",
    response_format: Annotated[Format, Form()] = "json",
    temperature: Annotated[float, Form(ge=0, le=1)] = 0.0,
    stream: Annotated[bool, Form()] = False,
    key: Key = "",
) -> HttpResponseBase:
    """A whole transcript, or with `stream=true` its text as it is recognised.

    `temperature` and `prompt` are taken and make no difference.
    """
    _check_model(model)
    _check_include(request)
    granularities = _granularities(request, response_format)
    row = _received(request, file, language, key)
    if stream:
        return streamed(_lines(request, row))
    connections.close_all()  # waiting needs no database connection
    async_to_sync(wait_for_end)(row.id)
    row = permissions.transcription_for(authenticated_user(request), row.id)
    if row.state != State.COMPLETED:
        raise refusal(row.error_code, row.error_message, 400)
    return _answer(row, response_format, granularities)


def _received(request: HttpRequest, file: UploadedFile, language: str, key: str) -> Transcription:
    """The official client sends a request again by itself, without a key but counting: that must
    not become another recording, and another bill."""
    counted = request.headers.get("x-stainless-retry-count", "")
    attempt = int(counted) if re.fullmatch(r"\d{1,3}", counted) else None
    try:
        return create_from_request(request, file, UploadParams(language=language), key, attempt)
    except UploadRefused as error:
        if error.code == "unknown_language":
            raise Refused(400, error.code, str(error), "language") from None
        raise


def _check_model(name: str) -> None:
    if name not in MODELS:
        known = ", ".join(MODELS)
        message = f"The model {name[:60]!r} does not exist. Use one of {known}."
        raise Refused(404, "model_not_found", message, "model")


def _granularities(request: HttpRequest, response_format: str) -> set[str]:
    given = _listed(request, "timestamp_granularities")
    if given - GRANULARITIES:
        message = "The field 'timestamp_granularities[]' may hold 'word' and 'segment'."
        raise Refused(400, "invalid_parameter", message, "timestamp_granularities")
    if given and response_format != "verbose_json":
        message = "Timestamps need response_format=verbose_json."
        raise Refused(400, "invalid_parameter", message, "timestamp_granularities")
    return given or {"segment"}


def _check_include(request: HttpRequest) -> None:
    """Who asks how sure the model is would take no answer for a bad one."""
    if _listed(request, "include"):
        message = "Log probabilities are not offered: leave the field 'include' out."
        raise Refused(400, "not_offered", message, "include")


def _listed(request: HttpRequest, name: str) -> set[str]:
    """A field that may be sent several times. The official client puts brackets behind its name,
    and people who write their own leave them out."""
    return {*request.POST.getlist(f"{name}[]"), *request.POST.getlist(name)}


def _answer(row: Transcription, response_format: str, granularities: set[str]) -> HttpResponse:
    if response_format in RAW:
        exporter = EXPORTERS[RAW[response_format]]
        return HttpResponse(exporter.write(transcript_of(row)), content_type=exporter.media_type)
    whole = TranscriptOut.of(row)
    body: dict[str, Any] = {"text": whole.text, "usage": _usage(row.duration)}
    if response_format == "verbose_json":
        body |= {
            "task": "transcribe",
            "language": LANGUAGES.get(row.language, row.language).lower(),
            "duration": row.duration or 0.0,
        }
        if "segment" in granularities:
            body["segments"] = [_segment(s.id, s.start, s.end, s.text) for s in whole.segments]
        if "word" in granularities:
            body["words"] = [
                {"word": word.text, "start": word.start, "end": word.end}
                for segment in whole.segments
                for word in segment.words
            ]
    return HttpResponse(json.dumps(body, ensure_ascii=False), content_type="application/json")


def _segment(number: int, start: float, end: float, text: str) -> dict[str, Any]:
    """All keys that programs may read; those that only Whisper could fill hold neutral values."""
    return {
        "id": number - 1,
        "seek": 0,
        "start": start,
        "end": end,
        "text": f" {text}",
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": 0.0,
        "compression_ratio": 1.0,
        "no_speech_prob": 0.0,
    }


async def _lines(request: HttpRequest, row: Transcription) -> AsyncGenerator[str]:
    """Deltas that join to the whole text, which the last event repeats."""
    text = ""
    async with aclosing(streams.follow(partial(is_still_authorized, request), row.id)) as stream:
        async for event in stream:
            match event:
                case None:
                    yield ": keep-alive\n\n"
                case ProgressEvent():
                    delta = f" {event.segment.text}" if text else event.segment.text
                    text += delta
                    yield _data({"type": "transcript.text.delta", "delta": delta})
                case CompleteEvent():
                    usage = _usage(event.duration)
                    yield _data({"type": "transcript.text.done", "text": text, "usage": usage})
                case ErrorEvent():
                    status = status_of(event.code, 400)
                    yield _data(error_body(event.code, event.detail, status=status))


def _data(message: dict[str, Any]) -> str:
    return f"data: {json.dumps(message, ensure_ascii=False)}\n\n"


def _usage(duration: float | None) -> dict[str, Any]:
    return {"type": "duration", "seconds": round(duration or 0.0)}


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 1_750_000_000, "owned_by": "transcodio"}
