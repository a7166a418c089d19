"""REST and Server-Sent Events. Views are synchronous, so that a large upload is parsed in a thread
and never on the event loop; what streams is an asynchronous iterator inside the response."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Literal

from asgiref.sync import async_to_sync
from django.db import connections
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response, set_response_etag
from django.utils.http import content_disposition_header
from ninja import File, Form, Header, Query, Router, Status, UploadedFile

from accounts.audit_log import record_event
from accounts.authentication import authenticated_user
from accounts.models import Action
from accounts.schemas import ErrorOut
from transcriptions import permissions
from transcriptions.api import openapi
from transcriptions.api.errors import ApiError, refusal
from transcriptions.api.ranges import ranged_response
from transcriptions.editing.service import correct as correct_segment
from transcriptions.editing.service import rename as rename_transcription
from transcriptions.exceptions import AudioDeleted, AudioError, EditConflict, WrongState
from transcriptions.exports.documents import EXPORTERS
from transcriptions.exports.service import transcript_of
from transcriptions.library import pagination
from transcriptions.library.filters import LibraryFilter
from transcriptions.models import Segment, State
from transcriptions.processing import commands
from transcriptions.realtime.sse import LastEventId, event_stream
from transcriptions.realtime.streams import wait_for_end
from transcriptions.schemas.transcripts import (
    CorrectionIn,
    RenameIn,
    SegmentOut,
    TranscriptionOut,
    TranscriptionPage,
    TranscriptOut,
)
from transcriptions.uploads.params import UploadParams
from transcriptions.uploads.requests import create_from_request

router = Router(tags=["transcriptions"])

ANYWHERE: dict[Any, Any] = {401: ErrorOut, 403: ErrorOut, 429: ErrorOut}
REFUSALS = ANYWHERE | dict.fromkeys((400, 410, 413, 415, 422, 507), ErrorOut)
BODY = dict.fromkeys((400, 413, 422), ErrorOut)
MISSING = ANYWHERE | {404: ErrorOut}
CONFLICT = MISSING | {409: ErrorOut}

AUDIO_GONE = "The recording itself is not stored any more."

# None: the body itself is the recording
Recording = Annotated[
    UploadedFile | None, File(description="MP3, WAV, M4A, FLAC, OGG, Opus, WebM or MP4")
]
Key = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        max_length=255,
        pattern="^[ -~]*$",
        description="Sent again with the same key within 24 hours, the same request answers with "
        "the recording that it made the first time.",
    ),
]


@router.post(
    "/transcribe",
    response={200: TranscriptOut, 503: ErrorOut, **REFUSALS, **CONFLICT},
    openapi_extra=openapi.CREATES_TRANSCRIPT,
)
def transcribe(
    request: HttpRequest,
    form: Form[UploadParams],
    query: Query[UploadParams],
    file: Recording = None,
    key: Key = "",
) -> TranscriptOut:
    """Upload a recording, wait, and get the whole transcript."""
    row = create_from_request(request, file, form | query, key)
    connections.close_all()  # waiting needs no database connection
    async_to_sync(wait_for_end)(row.id)
    row = permissions.transcription_for(authenticated_user(request), row.id)
    if row.state == State.FAILED:
        raise refusal(row.error_code, row.error_message, 422)
    if row.state == State.CANCELLED:
        raise ApiError(409, row.error_code, row.error_message)
    return TranscriptOut.of(row)


@router.post(
    "/transcribe/stream", response={200: None, **REFUSALS}, openapi_extra=openapi.CREATES_STREAM
)
def transcribe_stream(
    request: HttpRequest,
    form: Form[UploadParams],
    query: Query[UploadParams],
    file: Recording = None,
    key: Key = "",
) -> HttpResponseBase:
    """Upload a recording and read its segments as Server-Sent Events while they are recognised."""
    return event_stream(request, create_from_request(request, file, form | query, key))


@router.post(
    "/transcriptions",
    response={202: TranscriptionOut, **REFUSALS},
    openapi_extra=openapi.CREATES_RECORDING,
)
def create(
    request: HttpRequest,
    response: HttpResponse,
    form: Form[UploadParams],
    query: Query[UploadParams],
    file: Recording = None,
    key: Key = "",
) -> Status[TranscriptionOut]:
    """Upload a recording and return at once; `Location` says where to look for it."""
    row = create_from_request(request, file, form | query, key)
    response["Location"] = f"/api/transcriptions/{row.id}"
    return Status(202, TranscriptionOut.of(row))


@router.get(
    "/transcriptions",
    response={200: TranscriptionPage, 422: ErrorOut, **ANYWHERE},
    openapi_extra=openapi.LIST,
)
def library(
    request: HttpRequest,
    filters: Query[LibraryFilter],
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str, Query(description="`next_cursor` of the page before")] = "",
) -> TranscriptionPage:
    """Your recordings, newest first."""
    rows = filters.apply(permissions.visible_to(request.user)).defer("spans", "peaks")
    try:
        found, following = pagination.page(rows, cursor, limit)
    except pagination.BadCursor as error:
        raise ApiError(422, "invalid_cursor", str(error)) from None
    return TranscriptionPage(
        items=[TranscriptionOut.of(row) for row in found], next_cursor=following
    )


@router.get(
    "/transcriptions/{id:id}",
    response={200: TranscriptOut, **MISSING},
    openapi_extra=openapi.TRANSCRIPT,
)
def detail(request: HttpRequest, id: uuid.UUID) -> TranscriptOut:
    """One recording, with the segments that are known by now."""
    return TranscriptOut.of(permissions.transcription_for(request.user, id))


@router.patch(
    "/transcriptions/{id:id}",
    response={200: TranscriptionOut, **BODY, **MISSING},
    openapi_extra=openapi.RECORDING,
)
def rename(request: HttpRequest, id: uuid.UUID, change: RenameIn) -> TranscriptionOut:
    """Give it another title."""
    row = permissions.transcription_for(request.user, id)
    rename_transcription(row, change.title)
    return TranscriptionOut.of(row)


@router.delete("/transcriptions/{id:id}", response={204: None, **MISSING})
def delete(request: HttpRequest, id: uuid.UUID) -> Status[None]:
    """Delete the recording, its transcript and its files. Work on it stops."""
    row = permissions.transcription_for(request.user, id)
    row.delete()
    record_event(request, Action.DELETED, row.title)
    return Status(204, None)


@router.patch(
    "/transcriptions/{id:id}/segments/{int:number}",
    response={200: SegmentOut, **BODY, **CONFLICT},
    openapi_extra=openapi.SEGMENT,
)
def correct(request: HttpRequest, id: uuid.UUID, number: int, change: CorrectionIn) -> SegmentOut:
    """Correct the text of one segment. Words that stay keep their times."""
    row = permissions.transcription_for(request.user, id)
    text = " ".join(change.text.split())
    try:
        return SegmentOut.of(correct_segment(row, number, text, change.expected_text))
    except Segment.DoesNotExist:
        raise Http404("There is no such segment.") from None
    except EditConflict as error:
        raise ApiError(409, "edit_conflict", str(error)) from None
    except WrongState as error:
        raise ApiError(409, "not_completed", str(error)) from None


@router.post(
    "/transcriptions/{id:id}/cancel",
    response={200: TranscriptionOut, **CONFLICT},
    openapi_extra=openapi.RECORDING,
)
def cancel(request: HttpRequest, id: uuid.UUID) -> TranscriptionOut:
    """Stop the work on it. What is known by now stays, and `retry` goes on from there."""
    row = permissions.transcription_for(request.user, id)
    try:
        commands.cancel(row)
    except WrongState as error:
        raise ApiError(409, "already_ended", str(error)) from None
    return TranscriptionOut.of(row)


@router.post(
    "/transcriptions/{id:id}/retry",
    response={202: TranscriptionOut, 422: ErrorOut, **CONFLICT},
    openapi_extra=openapi.RETRIED,
)
def retry(request: HttpRequest, id: uuid.UUID) -> Status[TranscriptionOut]:
    """Try again what has failed or was cancelled. Segments that are there stay as they are."""
    row = permissions.transcription_for(request.user, id)
    try:
        commands.retry(row)
    except AudioDeleted as error:
        raise ApiError(409, "audio_gone", str(error)) from None
    except WrongState as error:
        raise ApiError(409, "not_failed", str(error)) from None
    except AudioError as error:  # more than is left by now
        raise refusal(error.code, str(error), 422) from None
    return Status(202, TranscriptionOut.of(row))


@router.get(
    "/transcriptions/{id:id}/events",
    response={200: None, **MISSING},
    openapi_extra=openapi.FOLLOW,
)
def follow(request: HttpRequest, id: uuid.UUID) -> HttpResponseBase:
    """Its events: first those that have happened (after `Last-Event-ID`), then live."""
    row = permissions.transcription_for(request.user, id)
    return event_stream(request, row, LastEventId.from_request(request))


@router.api_operation(
    ["GET", "HEAD"],
    "/transcriptions/{id:id}/export",
    response={200: None, 422: ErrorOut, **CONFLICT},
    openapi_extra=openapi.EXPORT,
)
def export(
    request: HttpRequest, id: uuid.UUID, format: Literal["txt", "srt", "vtt", "json"] = "txt"
) -> HttpResponse:
    """The transcript as a file: text, SubRip, WebVTT or JSON."""
    row = permissions.transcription_for(request.user, id)
    if row.state != State.COMPLETED:
        raise ApiError(409, "not_completed", "There is no finished transcript to export yet.")
    exporter = EXPORTERS[format]
    response = HttpResponse(
        exporter.write(transcript_of(row)),
        content_type=exporter.media_type,
        headers={"Content-Disposition": _attachment(f"{row.title}.{format}")},
    )
    set_response_etag(response)
    answer = get_conditional_response(request, response["ETag"], None, response)
    # The headers alone, or the news that the caller has it already, take nothing away.
    if answer is response and request.method == "GET":
        record_event(request, Action.EXPORTED, f"{row.title} ({format})")
    return response


@router.api_operation(
    ["GET", "HEAD"],
    "/transcriptions/{id:id}/audio",
    response={200: None, 206: None, 304: None, 416: None, **MISSING},
    openapi_extra=openapi.AUDIO,
)
def listen(request: HttpRequest, id: uuid.UUID) -> HttpResponseBase:
    """The recording as it was uploaded; HTTP ranges are understood."""
    row = permissions.transcription_for(request.user, id)
    if not row.source:
        raise ApiError(404, "audio_gone", AUDIO_GONE)
    media_type = openapi.MEDIA_TYPES.get(row.format, "application/octet-stream")
    try:
        return ranged_response(request, row.source, media_type, etag=f'"{row.id}"')
    except FileNotFoundError:
        raise ApiError(404, "audio_gone", AUDIO_GONE) from None


def _attachment(filename: str) -> str:
    return content_disposition_header(True, filename) or "attachment"
