"""Import of a text or of subtitles into a transcript."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja import File, Query, Router, UploadedFile

from accounts import concurrency
from accounts.audit_log import record_edit
from accounts.authentication import authenticated_user
from accounts.schemas import ErrorOut
from transcriptions import permissions
from transcriptions.api import openapi
from transcriptions.api.errors import ApiError
from transcriptions.editing import text_files
from transcriptions.editing.imported import ImportRefused
from transcriptions.editing.imports import import_text
from transcriptions.exceptions import WrongState
from transcriptions.schemas.transcripts import ImportedOut, ImportOut

router = Router(tags=["transcriptions"])

MAX_MEGABYTES = 8  # the JSON export of a recording of four hours has about 5
FORM = "application/x-www-form-urlencoded"  # curl's default
STATUSES = {"empty_file": 400, "file_too_large": 413, "different_text": 409}  # others: 422
ERRORS: dict[Any, Any] = dict.fromkeys((400, 401, 403, 404, 409, 413, 415, 422, 429), ErrorOut)
# File names for request bodies, by media type. For any other type, the content decides.
NAMES = {
    "application/json": "text.json",
    "application/x-subrip": "text.srt",
    "text/vtt": "text.vtt",
    "text/x-ssa": "text.ass",
}

# None if the text is the request body itself.
UploadedText = Annotated[
    UploadedFile | None,
    File(description="SRT, VTT, ASS, JSON or plain text in UTF-8, UTF-16 or Windows-1252"),
]
Force = Annotated[
    bool, Query(description="Import it even if it seems to belong to another recording")
]


@router.post(
    "/transcriptions/{id:transcription_id}/import",
    response={200: ImportOut, **ERRORS},
    openapi_extra=openapi.IMPORT,
)
def import_transcript(
    request: HttpRequest,
    transcription_id: uuid.UUID,
    file: UploadedText = None,
    force: Force = False,
) -> ImportOut:
    """Replace the text of a transcript with other text or with subtitles. Words that match the
    recognized ones keep their times. Repeating the request changes nothing."""
    row = permissions.transcription_for(request.user, transcription_id)
    try:
        with concurrency.imports.hold(authenticated_user(request)):
            content, name = _content(request, file)
            result = import_text(row, text_files.read(content, name), force)
    except ImportRefused as error:
        raise ApiError(STATUSES.get(error.code, 422), error.code, str(error)) from None
    except WrongState as error:
        raise ApiError(409, "not_completed", str(error)) from None
    record_edit(request, row.owner_id, row.id)
    names = ImportedOut.model_fields
    return ImportOut.after(row, ImportedOut(**{name: getattr(result, name) for name in names}))


def check_before_body(body_bytes: int) -> int:
    """Check the size of a body. Return how many megabytes the file may have. Raises ApiError."""
    if body_bytes > (MAX_MEGABYTES + 1) << 20:  # a form adds to the file
        raise _too_large()
    return MAX_MEGABYTES


def _content(request: HttpRequest, file: UploadedFile | None) -> tuple[bytes, str]:
    """The text and its name. Raises ApiError."""
    if file is not None:
        if (file.size or 0) > MAX_MEGABYTES << 20:
            raise _too_large()
        return file.read(), file.name or ""
    media_type = (request.content_type or "").lower()
    if media_type == "multipart/form-data":
        raise ApiError(422, "missing_field", _("The field 'file' is missing or has no file name."))
    if media_type == FORM:
        message = _(
            "Send the text as the field 'file' of a form, or as the body with its own type."
        )
        raise ApiError(415, "unsupported_media_type", message)
    content = request.read((MAX_MEGABYTES << 20) + 1)
    if len(content) > MAX_MEGABYTES << 20:
        raise _too_large()
    return content, NAMES.get(media_type, "")


def _too_large() -> ApiError:
    message = _("The file is larger than %(megabytes)d MB. Text files are much smaller.")
    return ApiError(413, "file_too_large", message % {"megabytes": MAX_MEGABYTES})
