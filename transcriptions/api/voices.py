"""Voices that a user keeps, to recognize people in future recordings."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import Http404, HttpRequest
from django.utils.translation import gettext as _
from ninja import Router, Status

from accounts.audit_log import record_event
from accounts.authentication import authenticated_user
from accounts.models import Action
from accounts.schemas import ErrorOut, example
from transcriptions import permissions
from transcriptions.api.errors import ApiError
from transcriptions.exceptions import AudioDeleted, UnknownSpeaker, VoiceRefused, WrongState
from transcriptions.models import Voice
from transcriptions.processing import kept_voices
from transcriptions.schemas.voices import VoiceIn, VoiceOut

router = Router(tags=["voices"])

ERRORS: dict[Any, Any] = dict.fromkeys((401, 403, 429), ErrorOut)
_VOICE = {
    "id": 3,
    "name": "Anna",
    "state": "ready",
    "error": None,
    "recordings": 1,
    "created_at": "2026-05-04T09:30:00Z",
}


@router.post(
    "/transcriptions/{id:transcription_id}/speakers/{int:number}/voice",
    response={202: VoiceOut, **ERRORS, **dict.fromkeys((404, 409, 422), ErrorOut)},
    openapi_extra=example(202, _VOICE | {"state": "learning", "recordings": 0}),
)
def keep_voice(request: HttpRequest, transcription_id: uuid.UUID, number: int) -> Status[VoiceOut]:
    """Keep the voice of a named speaker, to recognize this person in future recordings. It is
    learned in the background, from the audio of this recording."""
    row = permissions.transcription_for(request.user, transcription_id)
    try:
        voice = kept_voices.keep_voice(row, number)
    except UnknownSpeaker as error:
        raise Http404(str(error)) from None
    except VoiceRefused as error:
        raise ApiError(error.status, error.code, str(error)) from None
    except AudioDeleted as error:
        raise ApiError(409, "audio_deleted", str(error)) from None
    except WrongState as error:
        raise ApiError(409, "not_completed", str(error)) from None
    record_event(request, Action.VOICE, _("Kept"), recording=row.id)
    return Status(202, VoiceOut.of(voice))


@router.get(
    "/voices", response={200: list[VoiceOut], **ERRORS}, openapi_extra=example(200, [_VOICE])
)
def list_voices(request: HttpRequest) -> list[VoiceOut]:
    """List the voices that you keep, by name."""
    return [VoiceOut.of(voice) for voice in permissions.voices_of(request.user).with_waiting()]


@router.patch(
    "/voices/{int:voice_id}",
    response={200: VoiceOut, **ERRORS, **dict.fromkeys((400, 404, 409, 413, 422), ErrorOut)},
    openapi_extra=example(200, _VOICE),
)
def rename_voice(request: HttpRequest, voice_id: int, change: VoiceIn) -> VoiceOut:
    """Rename a voice. Existing transcripts keep the old name."""
    voice = permissions.voice_for(request.user, voice_id)
    try:
        kept_voices.rename_voice(voice, change.name)
    except VoiceRefused as error:
        raise ApiError(error.status, error.code, str(error)) from None
    record_event(request, Action.VOICE, _("Renamed"))
    return VoiceOut.of(Voice.objects.with_waiting().get(id=voice.id))


@router.delete("/voices/{int:voice_id}", response={204: None, **ERRORS, 404: ErrorOut})
def delete_voice(request: HttpRequest, voice_id: int) -> Status[None]:
    """Delete a voice: the person is no longer recognized. Existing transcripts keep their names."""
    voice = permissions.voice_for(request.user, voice_id)
    kept_voices.delete_voices(authenticated_user(request), voice)
    record_event(request, Action.VOICE, _("Deleted"))
    return Status(204, None)
