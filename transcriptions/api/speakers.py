"""The speakers of a recording: their names, and which of them are the same."""

from __future__ import annotations

import uuid

from django.http import Http404, HttpRequest
from ninja import Router

from accounts.text import clean_name
from transcriptions import permissions
from transcriptions.api import openapi
from transcriptions.api.errors import ApiError
from transcriptions.api.transcriptions import BODY_ERRORS, CONFLICT
from transcriptions.editing.speakers import merge_speakers, name_speaker
from transcriptions.exceptions import UnknownSpeaker, WrongState
from transcriptions.models import Transcription
from transcriptions.schemas.speakers import MergeIn, SpeakerIn, SpeakerOut, speakers_of

router = Router(tags=["transcriptions"])


@router.patch(
    "/transcriptions/{id:transcription_id}/speakers/{int:number}",
    response={200: SpeakerOut, **BODY_ERRORS, **CONFLICT},
    openapi_extra=openapi.SPEAKER,
)
def rename_speaker(
    request: HttpRequest, transcription_id: uuid.UUID, number: int, change: SpeakerIn
) -> SpeakerOut:
    """Name a speaker, in all of the transcript and in its exports. Without a name, it is `Speaker
    1` again."""
    row = permissions.transcription_for(request.user, transcription_id)
    try:
        name_speaker(row, number, clean_name(change.name or ""))
    except UnknownSpeaker as error:
        raise Http404(str(error)) from None
    except WrongState as error:
        raise ApiError(409, "not_completed", str(error)) from None
    return next(speaker for speaker in _speakers(row) if speaker.number == number)


@router.post(
    "/transcriptions/{id:transcription_id}/speakers/merge",
    response={200: list[SpeakerOut], **BODY_ERRORS, **CONFLICT},
    openapi_extra=openapi.SPEAKERS,
)
def merge_two_speakers(
    request: HttpRequest, transcription_id: uuid.UUID, change: MergeIn
) -> list[SpeakerOut]:
    """Give all words of one speaker to another one, if both are the same person. Returns the
    speakers that are left."""
    row = permissions.transcription_for(request.user, transcription_id)
    try:
        merge_speakers(row, change.number, change.into)
    except UnknownSpeaker as error:
        raise ApiError(422, "unknown_speaker", str(error)) from None
    except WrongState as error:
        raise ApiError(409, "not_completed", str(error)) from None
    return _speakers(row)


def _speakers(row: Transcription) -> list[SpeakerOut]:
    names = dict(row.speakers.values_list("number", "name"))
    segments = row.segments.values_list("words", flat=True)
    return speakers_of(names, (word for words in segments for word in words))
