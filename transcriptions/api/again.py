"""Repeated recognition of a stored recording."""

from __future__ import annotations

import uuid

from django.http import HttpRequest, HttpResponse
from ninja import Router, Status

from accounts.schemas import ErrorOut
from transcriptions import permissions
from transcriptions.api import openapi
from transcriptions.api.errors import ApiError
from transcriptions.api.transcriptions import BODY_ERRORS, CONFLICT, IdempotencyKeyHeader
from transcriptions.exceptions import AudioDeleted, WrongState
from transcriptions.schemas.transcripts import TranscriptionOut
from transcriptions.uploads.again import recognize_again
from transcriptions.uploads.params import RecognizeIn

router = Router(tags=["transcriptions"])


@router.post(
    "/transcriptions/{id:transcription_id}/recognize",
    response={
        202: TranscriptionOut,
        **BODY_ERRORS,
        **CONFLICT,
        **dict.fromkeys((410, 503, 507), ErrorOut),
    },
    openapi_extra=openapi.RECOGNIZE,
)
def recognize_transcription(
    request: HttpRequest,
    response: HttpResponse,
    transcription_id: uuid.UUID,
    body: RecognizeIn,
    key: IdempotencyKeyHeader = "",
) -> Status[TranscriptionOut]:
    """Recognize the same file again, as a new transcription. The existing one does not change; its
    edits are carried over when the new one completes. `Location` has the URL of the new one."""
    row = permissions.transcription_for(request.user, transcription_id)
    try:
        created = recognize_again(row, body.changes, key, request)
    except AudioDeleted as error:
        raise ApiError(409, "audio_deleted", str(error)) from None
    except WrongState as error:
        raise ApiError(409, "not_completed", str(error)) from None
    response["Location"] = f"/api/transcriptions/{created.id}"
    return Status(202, TranscriptionOut.of(created))
