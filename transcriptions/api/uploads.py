"""Uploads that go to the object storage directly, in parts."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from ninja import Router, Status

from accounts.authentication import authenticated_user, request_token
from accounts.schemas import ErrorOut
from transcriptions import permissions
from transcriptions.api import openapi
from transcriptions.schemas.transcripts import TranscriptionOut
from transcriptions.schemas.uploads import DirectUploadOut, PartOut
from transcriptions.uploads import direct
from transcriptions.uploads.params import DirectUploadIn

router = Router(tags=["direct uploads"])

ERRORS: dict[Any, Any] = dict.fromkeys((401, 403, 409, 429, 503), ErrorOut)
NOT_FOUND = ERRORS | {404: ErrorOut}
REFUSED: dict[Any, Any] = dict.fromkeys((400, 413, 422, 507), ErrorOut)


@router.post(
    "/uploads",
    response={201: DirectUploadOut, **ERRORS, **REFUSED},
    openapi_extra=openapi.START_UPLOAD,
)
def start_upload(request: HttpRequest, body: DirectUploadIn) -> Status[DirectUploadOut]:
    """Start an upload in parts that you send to the object storage. 409 `not_offered` if this
    server has no object storage for direct uploads."""
    upload = direct.start(
        authenticated_user(request),
        request_token(request),
        filename=body.name,
        size=body.size,
        params=body.params,
        media_type=body.media_type,
    )
    return Status(201, DirectUploadOut.of(upload))


@router.post(
    "/uploads/{id:upload_id}/parts/{int:number}",
    response={200: PartOut, **NOT_FOUND},
    openapi_extra=openapi.UPLOAD_PART,
)
def sign_upload_part(request: HttpRequest, upload_id: uuid.UUID, number: int) -> PartOut:
    """Get a URL for a part, counted from 1. A part that is sent again replaces the first one."""
    upload = permissions.direct_upload_for(request.user, upload_id)
    return PartOut(
        url=direct.part_url(upload, number),
        start=(number - 1) * upload.part_bytes,
        bytes=upload.length_of(number),
    )


@router.post(
    "/uploads/{id:upload_id}/complete",
    response={202: TranscriptionOut, **NOT_FOUND, **REFUSED},
    openapi_extra=openapi.COMPLETE_UPLOAD,
)
def complete_upload(
    request: HttpRequest, response: HttpResponse, upload_id: uuid.UUID
) -> Status[TranscriptionOut]:
    """Create the transcription when all parts have arrived. Repeating the request returns the same
    one. `Location` has its URL."""
    try:
        row = direct.complete(permissions.direct_upload_for(request.user, upload_id), request)
    except Http404:  # an earlier request has completed it, or there is no such upload
        row = permissions.transcription_for(request.user, upload_id)
    response["Location"] = f"/api/transcriptions/{row.id}"
    return Status(202, TranscriptionOut.of(row))


@router.delete("/uploads/{id:upload_id}", response={204: None, **NOT_FOUND})
def cancel_upload(request: HttpRequest, upload_id: uuid.UUID) -> Status[None]:
    """Cancel an upload and delete its parts."""
    direct.abort(permissions.direct_upload_for(request.user, upload_id))
    return Status(204, None)
