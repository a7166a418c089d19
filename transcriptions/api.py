"""REST and Server-Sent Events. Views are synchronous, so that a large upload is parsed in a thread
and never on the event loop; what streams is an asynchronous iterator inside the response."""

from __future__ import annotations

import uuid
from contextlib import aclosing
from typing import Annotated, Literal

from asgiref.sync import async_to_sync
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header
from ninja import File, Form, Query, Router, Status, UploadedFile

from accounts.authentication import person
from accounts.schemas import ErrorOut
from transcriptions import access, events
from transcriptions.exporters import EXPORTERS, Transcript
from transcriptions.models import State, Transcription
from transcriptions.ranges import ranged_response
from transcriptions.schemas import (
    SegmentOut,
    TranscriptionList,
    TranscriptionOut,
    TranscriptOut,
)
from transcriptions.sse import event_stream, last_event_id
from transcriptions.uploads import accept

router = Router(tags=["transcriptions"])

ANYWHERE = {401: ErrorOut, 403: ErrorOut}
REFUSALS = {400: ErrorOut, 413: ErrorOut, 415: ErrorOut, 422: ErrorOut, **ANYWHERE}
MISSING = {404: ErrorOut, **ANYWHERE}
MEDIA_TYPES = {
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "w64": "audio/wav",
    "mov": "audio/mp4",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "matroska": "audio/webm",
}
STREAM = {
    "responses": {
        200: {
            "description": "`metadata`, `progress` for each segment, then `complete` or `error`.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        }
    }
}

Recording = Annotated[UploadedFile, File(description="MP3, WAV, M4A, FLAC, OGG, Opus, WebM, MP4")]
Language = Annotated[str, Form(description="Code such as `en`; empty or `auto` to detect it")]


class ApiError(Exception):
    """An error answer with its HTTP status."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.code = status, code


@router.post("/transcribe", response={200: TranscriptOut, **REFUSALS})
def transcribe(request: HttpRequest, file: Recording, language: Language = "") -> TranscriptOut:
    """Upload a recording, wait, and get the whole transcript."""
    row = accept(person(request), file, language)
    connections.close_all()  # waiting needs no database connection
    async_to_sync(wait_for_end)(row.id)
    row = access.transcription_for(person(request), row.id)
    if row.state == State.FAILED:
        raise ApiError(422, row.error_code, row.error_message)
    return TranscriptOut.of(row)


@router.post("/transcribe/stream", openapi_extra=STREAM, response={200: None, **REFUSALS})
def transcribe_stream(
    request: HttpRequest, file: Recording, language: Language = ""
) -> HttpResponseBase:
    """Upload a recording and read its segments as Server-Sent Events while they are recognised."""
    return event_stream(accept(person(request), file, language))


@router.post("/transcriptions", response={202: TranscriptionOut, **REFUSALS})
def create(
    request: HttpRequest, response: HttpResponse, file: Recording, language: Language = ""
) -> Status[TranscriptionOut]:
    """Upload a recording and return at once; `Location` says where to look for it."""
    row = accept(person(request), file, language)
    response["Location"] = f"/api/transcriptions/{row.id}"
    return Status(202, TranscriptionOut.of(row))


@router.get(
    "/transcriptions",
    response={200: TranscriptionList, 422: ErrorOut, **ANYWHERE},
)
def library(
    request: HttpRequest,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> TranscriptionList:
    """Your recordings, newest first."""
    rows = access.visible_to(request.user)
    page = rows.defer("spans", "peaks")[offset : offset + limit]
    return TranscriptionList(count=rows.count(), items=[TranscriptionOut.of(row) for row in page])


@router.get("/transcriptions/{uuid:id}", response={200: TranscriptOut, **MISSING})
def detail(request: HttpRequest, id: uuid.UUID) -> TranscriptOut:
    """One recording, with the segments that are known by now."""
    return TranscriptOut.of(access.transcription_for(request.user, id))


@router.delete("/transcriptions/{uuid:id}", response={204: None, **MISSING})
def delete(request: HttpRequest, id: uuid.UUID) -> Status[None]:
    """Delete the recording, its transcript and its files. Work on it stops."""
    access.transcription_for(request.user, id).remove()
    return Status(204, None)


@router.get(
    "/transcriptions/{uuid:id}/events", openapi_extra=STREAM, response={200: None, **MISSING}
)
def follow(request: HttpRequest, id: uuid.UUID) -> HttpResponseBase:
    """Its events: first those that have happened (after `Last-Event-ID`), then live."""
    return event_stream(access.transcription_for(request.user, id), last_event_id(request))


@router.get("/transcriptions/{uuid:id}/export", response={200: None, 409: ErrorOut, **MISSING})
def export(
    request: HttpRequest, id: uuid.UUID, format: Literal["txt", "srt", "vtt", "json"] = "txt"
) -> HttpResponse:
    """The transcript as a file: text, SubRip, WebVTT or JSON."""
    row = access.transcription_for(request.user, id)
    if row.state != State.COMPLETED:
        raise ApiError(409, "not_completed", "There is no finished transcript to export yet.")
    exporter = EXPORTERS[format]
    return HttpResponse(
        exporter.write(transcript_of(row)),
        content_type=exporter.media_type,
        headers={"Content-Disposition": _attachment(f"{row.title}.{format}")},
    )


@router.api_operation(
    ["GET", "HEAD"],
    "/transcriptions/{uuid:id}/audio",
    response={200: None, 206: None, 416: None, **MISSING},
)
def listen(request: HttpRequest, id: uuid.UUID) -> HttpResponseBase:
    """The recording as it was uploaded; HTTP ranges are understood."""
    row = access.transcription_for(request.user, id)
    media_type = MEDIA_TYPES.get(row.format, "application/octet-stream")
    try:
        return ranged_response(request, row.source, media_type)
    except FileNotFoundError:
        raise ApiError(404, "audio_gone", "The recording itself is not stored any more.") from None


async def wait_for_end(id: uuid.UUID) -> None:
    """Returns when the recording is completed, failed or deleted."""
    async with aclosing(events.subscribe(id)) as stream:
        async for _ in stream:
            pass


def transcript_of(row: Transcription) -> Transcript:
    """What exporters write."""
    segments = [SegmentOut.of(segment).model_dump() for segment in row.segments.all()]
    return Transcript(row.title, row.language, row.duration or 0.0, segments)


def _attachment(filename: str) -> str:
    return content_disposition_header(True, filename) or "attachment"
