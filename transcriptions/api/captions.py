"""Captions of a live session, under a link that needs no account."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from ninja import Router, Schema, Status
from pydantic import Field

from accounts.schemas import example
from transcriptions import permissions
from transcriptions.api.errors import ApiError
from transcriptions.api.transcriptions import CONFLICT, NOT_FOUND
from transcriptions.exceptions import WrongState
from transcriptions.live import captions

router = Router(tags=["transcriptions"])

_EXAMPLE = {"url": "http://127.0.0.1:8000/captions/q0Yw3Q2zUuG0sDk1v1n0n3b2o4m5l6k7j8h9g0f1e2d/"}
PATH = "/transcriptions/{id:transcription_id}/captions"


class CaptionsOut(Schema):
    """The link of live captions."""

    url: str | None = Field(description="URL of the page with the captions; null: not shared")

    @classmethod
    def of(cls, key: str | None) -> CaptionsOut:
        """Create from a key."""
        return cls(url=f"{settings.SITE_URL}{reverse('captions', args=[key])}" if key else None)


@router.get(PATH, response={200: CaptionsOut, **NOT_FOUND}, openapi_extra=example(200, _EXAMPLE))
def get_captions(request: HttpRequest, transcription_id: uuid.UUID) -> CaptionsOut:
    """Get the link of the captions of a live session."""
    row = permissions.transcription_for(request.user, transcription_id)
    return CaptionsOut.of(captions.key_of(row))


@router.post(PATH, response={200: CaptionsOut, **CONFLICT}, openapi_extra=example(200, _EXAMPLE))
def share_captions(request: HttpRequest, transcription_id: uuid.UUID) -> CaptionsOut:
    """Share the captions of a live session: anyone with the link can read what is said, until the
    session ends or you stop sharing."""
    row = permissions.transcription_for(request.user, transcription_id)
    try:
        return CaptionsOut.of(captions.share(row))
    except WrongState as error:
        raise ApiError(409, "not_live", str(error)) from None


@router.delete(PATH, response={204: None, **NOT_FOUND})
def stop_sharing_captions(request: HttpRequest, transcription_id: uuid.UUID) -> Status[None]:
    """Stop sharing the captions of a live session. The link becomes invalid, and its readers are
    disconnected."""
    captions.withdraw(permissions.transcription_for(request.user, transcription_id))
    return Status(204, None)
