"""The speakers of a recording: their names, and which of them are the same."""

from __future__ import annotations

import uuid

from django.http import Http404, HttpRequest
from ninja import Router, Status

from accounts.text import clean_name
from transcriptions import permissions
from transcriptions.api import openapi
from transcriptions.api.errors import ApiError
from transcriptions.api.transcriptions import BODY_ERRORS, CONFLICT, NOT_FOUND
from transcriptions.editing.speakers import merge_speakers, name_speaker
from transcriptions.exceptions import AudioDeleted, NoSpeech, UnknownSpeaker, WrongState
from transcriptions.models import Options, Transcription
from transcriptions.processing import commands, diarization_jobs
from transcriptions.schemas.speakers import (
    MergeIn,
    SpeakerDetectionOut,
    SpeakerIn,
    SpeakerOut,
    speakers_of,
)
from transcriptions.uploads.service import check_speakers
from transcriptions.uploads.speakers import DetectIn

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


@router.post(
    "/transcriptions/{id:transcription_id}/speakers/detect",
    response={202: SpeakerDetectionOut, **BODY_ERRORS, **CONFLICT},
    openapi_extra=openapi.DETECT_SPEAKERS,
)
def detect_speakers(
    request: HttpRequest, transcription_id: uuid.UUID, body: DetectIn
) -> Status[SpeakerDetectionOut]:
    """Detect the speakers of a completed recording whose audio is kept, without recognizing it
    again. The text stays as it is, and so do names of speakers who are the same. `events` has the
    change, and then `complete`. While it is under way, the same request changes nothing."""
    row = permissions.transcription_for(request.user, transcription_id)
    check_speakers(Options(min_speakers=body.least, max_speakers=body.most))
    try:
        job = commands.detect_speakers(row, body.least, body.most)
    except AudioDeleted as error:
        raise ApiError(409, "audio_gone", str(error)) from None
    except NoSpeech as error:
        raise ApiError(409, "no_speech", str(error)) from None
    except WrongState as error:
        raise ApiError(409, "not_completed", str(error)) from None
    return Status(202, SpeakerDetectionOut.of(job))


@router.delete(
    "/transcriptions/{id:transcription_id}/speakers/detect", response={204: None, **NOT_FOUND}
)
def cancel_speaker_detection(request: HttpRequest, transcription_id: uuid.UUID) -> Status[None]:
    """Stop detecting the speakers of a completed recording: they stay as they are."""
    row = permissions.transcription_for(request.user, transcription_id)
    diarization_jobs.cancel(row)
    return Status(204, None)


def _speakers(row: Transcription) -> list[SpeakerOut]:
    names = dict(row.speakers.values_list("number", "name"))
    segments = row.segments.values_list("words", flat=True)
    return speakers_of(names, (word for words in segments for word in words))
