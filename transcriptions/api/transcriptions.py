"""REST and Server-Sent Events. Views are synchronous, so that Django parses large uploads in a
thread, not on the event loop. Streaming responses contain asynchronous iterators."""

from __future__ import annotations

import uuid
from contextlib import nullcontext
from functools import partial
from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response, set_response_etag
from django.utils.translation import gettext as _
from ninja import File, Form, Header, Query, Router, Status, UploadedFile

from accounts import concurrency
from accounts.audit_log import record_edit, record_event
from accounts.authentication import (
    TokenAuth,
    authenticated_user,
    has_read_token,
    request_token,
    url_auth,
)
from accounts.models import Action, Scope
from accounts.read_tokens import issue_read_token
from accounts.schemas import ErrorOut
from gpu.joining import one_line
from transcriptions import media_formats, permissions
from transcriptions.api import openapi
from transcriptions.api.errors import ApiError, edit_errors, failure_error
from transcriptions.api.ranges import ranged_response
from transcriptions.api.subtitles import export_options, transcript_for
from transcriptions.api.waiting import Answer, answer_at_end
from transcriptions.editing import service as editing
from transcriptions.exceptions import (
    AudioDeleted,
    AudioError,
    WrongState,
)
from transcriptions.exports.documents import EXPORTERS
from transcriptions.exports.filenames import attachment
from transcriptions.exports.options import ExportOptions
from transcriptions.exports.params import ExportFormat, ExportParams
from transcriptions.exports.reading import MissingFontError
from transcriptions.exports.service import export
from transcriptions.indexing.search import SearchRefused
from transcriptions.library import pagination
from transcriptions.library.filters import LibraryFilter
from transcriptions.models import State, Transcription
from transcriptions.models.positions import set_queue_positions
from transcriptions.processing import commands
from transcriptions.realtime.sse import LastEventId, event_stream
from transcriptions.schemas.transcripts import (
    CorrectionIn,
    FoundTranscriptionOut,
    ReadTokenOut,
    RenameIn,
    SegmentOut,
    TranscriptionOut,
    TranscriptionPage,
    TranscriptOut,
)
from transcriptions.storage.base import recording_storage
from transcriptions.uploads.params import UploadParams
from transcriptions.uploads.requests import create_from_request

router = Router(tags=["transcriptions"])

COMMON_ERRORS: dict[Any, Any] = {401: ErrorOut, 403: ErrorOut, 429: ErrorOut}
UPLOAD_ERRORS = COMMON_ERRORS | dict.fromkeys(
    (400, 408, 410, 413, 414, 415, 422, 503, 507), ErrorOut
)
BODY_ERRORS = dict.fromkeys((400, 413, 422), ErrorOut)
NOT_FOUND = COMMON_ERRORS | {404: ErrorOut}
CONFLICT = NOT_FOUND | {409: ErrorOut}

# None if the recording is the request body itself.
UploadedRecording = Annotated[
    UploadedFile | None,
    File(
        description=f"The recording: {media_formats.ALL_FORMATS}. Without a header, by media type "
        f"or extension: {media_formats.ALL_RAW_FORMATS}. See [Media formats](/docs/formats/)."
    ),
]
IdempotencyKeyHeader = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        max_length=255,
        pattern="^[ -~]*$",
        description="Repeating a request with the same key within 24 hours returns the recording "
        "that the first request created.",
    ),
]


@router.post(
    "/transcribe",
    response={200: TranscriptOut, **UPLOAD_ERRORS, **CONFLICT},
    openapi_extra=openapi.TRANSCRIBE,
)
def transcribe(
    request: HttpRequest,
    form: Form[UploadParams],
    query: Query[UploadParams],
    file: UploadedRecording = None,
    key: IdempotencyKeyHeader = "",
) -> HttpResponseBase:
    """Upload a recording and wait for the complete transcript. If that takes long, white space is
    sent before the JSON; a later failure is then reported in the body, with status 200."""
    create = partial(create_from_request, request, file, form | query, key)
    answer = Answer("application/json; charset=utf-8", _transcript_json, _error_json)
    return answer_at_end(authenticated_user(request), create, answer)


def _transcript_json(row: Transcription) -> str:
    if row.state == State.FAILED:
        raise failure_error(row.error_code, row.error_message, 422)
    if row.state == State.CANCELLED:
        raise ApiError(409, row.error_code, row.error_message)
    return TranscriptOut.of(row).model_dump_json()


def _error_json(error: ApiError) -> str:
    return ErrorOut(detail=str(error), code=error.code).model_dump_json()


@router.post(
    "/transcribe/stream",
    response={200: None, **UPLOAD_ERRORS},
    openapi_extra=openapi.TRANSCRIBE_STREAM,
)
def transcribe_stream(
    request: HttpRequest,
    form: Form[UploadParams],
    query: Query[UploadParams],
    file: UploadedRecording = None,
    key: IdempotencyKeyHeader = "",
) -> HttpResponseBase:
    """Upload a recording and receive its segments as Server-Sent Events as they are recognized."""
    concurrency.streams.check(authenticated_user(request))  # before the recording is stored
    return event_stream(request, create_from_request(request, file, form | query, key))


@router.post(
    "/transcriptions",
    response={202: TranscriptionOut, **UPLOAD_ERRORS},
    openapi_extra=openapi.CREATE,
)
def create_transcription(
    request: HttpRequest,
    response: HttpResponse,
    form: Form[UploadParams],
    query: Query[UploadParams],
    file: UploadedRecording = None,
    key: IdempotencyKeyHeader = "",
) -> Status[TranscriptionOut]:
    """Upload a recording and return immediately. `Location` has the URL of the transcription."""
    row = create_from_request(request, file, form | query, key)
    response["Location"] = f"/api/transcriptions/{row.id}"
    return Status(202, TranscriptionOut.of(row))


@router.get(
    "/transcriptions",
    response={200: TranscriptionPage, 422: ErrorOut, **COMMON_ERRORS},
    openapi_extra=openapi.LIST,
)
def list_transcriptions(
    request: HttpRequest,
    filters: Query[LibraryFilter],
    limit: Annotated[int, Query(ge=1, le=100, description="Maximum number of items")] = 20,
    cursor: Annotated[
        str,
        Query(
            description="`next_cursor` of the previous page",
            max_length=200,
            pattern="^[A-Za-z0-9_=-]*$",
        ),
    ] = "",
) -> TranscriptionPage:
    """List your transcriptions, newest first."""
    user = authenticated_user(request)
    try:
        with concurrency.searches.hold(user) if filters.q else nullcontext():
            rows = filters.apply(permissions.visible_to(user))
            page, next_cursor = pagination.paginate(rows, filters.q, cursor, limit)
    except SearchRefused as error:
        raise ApiError(422, error.code, str(error)) from None
    except pagination.InvalidCursor as error:
        raise ApiError(422, "invalid_cursor", str(error)) from None
    set_queue_positions(page)
    items = [FoundTranscriptionOut.of(row) for row in page]
    return TranscriptionPage(items=items, next_cursor=next_cursor)


@router.get(
    "/transcriptions/{id:transcription_id}",
    response={200: TranscriptOut, **NOT_FOUND},
    openapi_extra=openapi.TRANSCRIPT,
)
def get_transcription(request: HttpRequest, transcription_id: uuid.UUID) -> TranscriptOut:
    """Get a transcription with the segments recognized so far."""
    return TranscriptOut.of(permissions.transcription_for(request.user, transcription_id))


@router.patch(
    "/transcriptions/{id:transcription_id}",
    response={200: TranscriptionOut, **BODY_ERRORS, **CONFLICT},
    openapi_extra=openapi.TRANSCRIPTION,
)
def rename_transcription(
    request: HttpRequest, transcription_id: uuid.UUID, change: RenameIn
) -> TranscriptionOut:
    """Change the title of a transcription."""
    row = permissions.transcription_for(request.user, transcription_id)
    with edit_errors():
        editing.rename(row, change.title, change.expected_title)
    return TranscriptionOut.of(row)


@router.delete("/transcriptions/{id:transcription_id}", response={204: None, **NOT_FOUND})
def delete_transcription(request: HttpRequest, transcription_id: uuid.UUID) -> Status[None]:
    """Delete a recording with its transcript and files. Processing stops."""
    row = permissions.transcription_for(request.user, transcription_id)
    row.delete()
    record_event(request, Action.DELETED, recording=transcription_id)
    return Status(204, None)


@router.patch(
    "/transcriptions/{id:transcription_id}/segments/{int:number}",
    response={200: SegmentOut, **BODY_ERRORS, **CONFLICT},
    openapi_extra=openapi.SEGMENT,
)
def correct_segment(
    request: HttpRequest, transcription_id: uuid.UUID, number: int, change: CorrectionIn
) -> SegmentOut:
    """Correct the text of a segment, or change its speaker. Unchanged words keep their
    timestamps."""
    row = permissions.transcription_for(request.user, transcription_id)
    text = None if change.text is None else one_line(change.text)
    with edit_errors():
        changed = editing.edit(row, number, text, change.expected_text, change.speaker)
    record_edit(request, row.owner_id, row.id)
    return SegmentOut.of(changed)


@router.post(
    "/transcriptions/{id:transcription_id}/cancel",
    response={200: TranscriptionOut, **CONFLICT},
    openapi_extra=openapi.TRANSCRIPTION,
)
def cancel_transcription(request: HttpRequest, transcription_id: uuid.UUID) -> TranscriptionOut:
    """Cancel processing. Existing segments are kept, and `retry` resumes after them."""
    row = permissions.transcription_for(request.user, transcription_id)
    try:
        commands.cancel(row)
    except WrongState as error:
        raise ApiError(409, "already_ended", str(error)) from None
    return TranscriptionOut.of(row)


@router.post(
    "/transcriptions/{id:transcription_id}/retry",
    response={202: TranscriptionOut, 422: ErrorOut, 503: ErrorOut, **CONFLICT},
    openapi_extra=openapi.RETRY,
)
def retry_transcription(
    request: HttpRequest, transcription_id: uuid.UUID
) -> Status[TranscriptionOut]:
    """Retry a failed transcription or resume a cancelled one. Existing segments are kept."""
    row = permissions.transcription_for(request.user, transcription_id)
    try:
        commands.retry(row)
    except AudioDeleted as error:
        raise ApiError(409, "audio_deleted", str(error)) from None
    except WrongState as error:
        raise ApiError(409, "not_failed", str(error)) from None
    except AudioError as error:  # longer than the plan or the remaining quota now allows
        raise failure_error(error.code, str(error), 422) from None
    return Status(202, TranscriptionOut.of(row))


@router.post(
    "/transcriptions/{id:transcription_id}/read-token",
    response={201: ReadTokenOut, **NOT_FOUND},
    auth=TokenAuth(Scope.READ),
    openapi_extra=openapi.READ_TOKEN,
)
def create_read_token(request: HttpRequest, transcription_id: uuid.UUID) -> Status[ReadTokenOut]:
    """Create a short-lived token for the URLs of the events, the audio and the export of this
    recording, as their parameter `token`: for an `EventSource` or an `<audio>` element in your own
    page."""
    row = permissions.transcription_for(request.user, transcription_id)
    token = request_token(request)
    if token is None:
        raise TypeError("a session")
    value, expires_at = issue_read_token(token, str(row.id))
    return Status(201, ReadTokenOut(token=value, expires_at=expires_at))


@router.get(
    "/transcriptions/{id:transcription_id}/events",
    response={200: None, **NOT_FOUND},
    auth=url_auth,
    openapi_extra=openapi.EVENTS,
)
def stream_events(request: HttpRequest, transcription_id: uuid.UUID) -> HttpResponseBase:
    """Stream events: past events first (after `Last-Event-ID`), then live."""
    row = permissions.transcription_for(request.user, transcription_id)
    return event_stream(request, row, LastEventId.from_request(request))


@router.api_operation(
    ["GET", "HEAD"],
    "/transcriptions/{id:transcription_id}/export",
    response={200: None, 422: ErrorOut, **CONFLICT},
    auth=url_auth,
    openapi_extra=openapi.EXPORT,
)
def export_transcript(
    request: HttpRequest,
    transcription_id: uuid.UUID,
    params: Query[ExportParams],
    format: ExportFormat = "txt",
) -> HttpResponse:
    """Export the transcript as a file. If processing failed or was cancelled, only the part that
    was recognized is exported."""
    row = transcript_for(request, transcription_id)
    exporter = EXPORTERS[format]
    response = HttpResponse(
        _exported(row, format, export_options(request, params)),
        content_type=exporter.media_type,
        headers={"Content-Disposition": attachment(row.title, exporter.extension)},
    )
    set_response_etag(response)
    conditional = get_conditional_response(request, response.get("ETag"), None, response)
    # HEAD and 304 responses send no transcript, so they are not audited.
    if conditional is response and request.method == "GET":
        record_event(request, Action.EXPORTED, format, recording=row.id)
    return response


def _exported(row: Transcription, format: str, options: ExportOptions) -> bytes:
    """The transcript as a file. Raises ApiError if it has characters that no font has."""
    try:
        return export(row, format, options)
    except MissingFontError as error:
        message = _("There is no font for %(characters)s. Export as DOCX instead.")
        characters = ", ".join(error.characters)
        raise ApiError(409, "missing_font", message % {"characters": characters}) from error


@router.api_operation(
    ["GET", "HEAD"],
    "/transcriptions/{id:transcription_id}/audio",
    response={200: None, 206: None, 302: None, 304: None, 416: None, **NOT_FOUND},
    auth=url_auth,
    openapi_extra=openapi.AUDIO,
)
def download_audio(request: HttpRequest, transcription_id: uuid.UUID) -> HttpResponseBase:
    """Download the original file. HTTP range requests are supported. The response may be a redirect
    to the object storage."""
    row = permissions.transcription_for(request.user, transcription_id)
    if not row.source:
        raise _audio_deleted()
    response = _audio_response(request, row)
    if has_read_token(request):  # `<audio>` on a page of another site
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


def _audio_response(request: HttpRequest, row: Transcription) -> HttpResponseBase:
    # Whatever type the upload claimed: one that browsers play or save, but never render.
    media_type = media_formats.media_type(row.format)
    disposition = attachment(row.title, media_formats.extension(row.format))
    storage = recording_storage()
    if storage.direct and request.method == "GET":  # the signature of the URL is only for GET
        url = storage.signed_url(row.source.name or "", media_type, disposition)
        return HttpResponse(status=302, headers={"Location": url})
    try:
        response = ranged_response(request, row.source, media_type, etag=f'"{row.id}"')
    except FileNotFoundError:
        raise _audio_deleted() from None
    response.headers["Content-Disposition"] = disposition
    return response


def _audio_deleted() -> ApiError:
    return ApiError(404, "audio_deleted", _("The audio has been deleted."))
