"""The speakers of a recording: their names, and which of them are the same person."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from django.http import Http404, HttpRequest
from django.utils.translation import gettext as _
from ninja import Router, Status

from accounts.audit_log import record_edit
from accounts.text import clean_name
from transcriptions import permissions
from transcriptions.api import openapi
from transcriptions.api.errors import ApiError
from transcriptions.api.transcriptions import BODY_ERRORS, CONFLICT, NOT_FOUND
from transcriptions.editing.speakers import (
    Part,
    assign,
    merge_speakers,
    name_speaker,
    split_speaker,
)
from transcriptions.exceptions import (
    AudioDeleted,
    EditConflict,
    NoSpeech,
    NothingToSplit,
    UnknownSpeaker,
    UnknownWord,
    WrongState,
)
from transcriptions.models import Options, Segment, Transcription
from transcriptions.processing import commands, diarization_jobs
from transcriptions.schemas.speakers import (
    AssignIn,
    ChangedSpeakers,
    MergeIn,
    SegmentSpeakers,
    SpeakerDetectionOut,
    SpeakerIn,
    SpeakerOut,
    SplitIn,
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
    """Name a speaker in the whole transcript and its exports. An empty name restores `Speaker
    1`."""
    row = permissions.transcription_for(request.user, transcription_id)
    with _edit(request, row, is_in_path=True):
        name_speaker(row, number, clean_name(change.name or ""))
    return next(speaker for speaker in _speakers(row) if speaker.number == number)


@router.post(
    "/transcriptions/{id:transcription_id}/speakers/merge",
    response={200: list[SpeakerOut], **BODY_ERRORS, **CONFLICT},
    openapi_extra=openapi.SPEAKERS,
)
def merge_two_speakers(
    request: HttpRequest, transcription_id: uuid.UUID, change: MergeIn
) -> list[SpeakerOut]:
    """Merge two speakers who are the same person: all words of one are assigned to the other.
    Returns the remaining speakers."""
    row = permissions.transcription_for(request.user, transcription_id)
    with _edit(request, row):
        merge_speakers(row, change.number, change.into)
    return _speakers(row)


@router.post(
    "/transcriptions/{id:transcription_id}/speakers/assign",
    response={200: ChangedSpeakers, **BODY_ERRORS, **CONFLICT},
    openapi_extra=openapi.CHANGED_SPEAKERS,
)
def assign_parts(
    request: HttpRequest, transcription_id: uuid.UUID, change: AssignIn
) -> ChangedSpeakers:
    """Assign segments, or some of their words, to a speaker. Returns all speakers, and the changed
    segments."""
    row = permissions.transcription_for(request.user, transcription_id)
    parts = [Part(part.segment, part.first_word, part.last_word) for part in change.parts]
    with _edit(request, row):
        return _changed(row, assign(row, parts, change.speaker))


@router.post(
    "/transcriptions/{id:transcription_id}/speakers/{int:number}/split",
    response={200: ChangedSpeakers, **BODY_ERRORS, **CONFLICT},
    openapi_extra=openapi.CHANGED_SPEAKERS,
)
def split_one_speaker(
    request: HttpRequest, transcription_id: uuid.UUID, number: int, change: SplitIn
) -> ChangedSpeakers:
    """Split a speaker who is really two people: the words of this speaker in the given segments are
    assigned to a new speaker. Returns all speakers, and the changed segments. With the `revision`
    of a proposal, responds with 409 if the transcript has changed since then."""
    row = permissions.transcription_for(request.user, transcription_id)
    with _edit(request, row, is_in_path=True):
        return _changed(row, split_speaker(row, number, change.segments, change.revision))


@contextmanager
def _edit(request: HttpRequest, row: Transcription, *, is_in_path: bool = False) -> Iterator[None]:
    """Record the edit that the body makes, and turn its errors into responses. An unknown speaker
    is a 404 if its number is in the path."""
    try:
        yield
    except Segment.DoesNotExist:
        message = _("There is no such segment.")
        raise ApiError(422, "unknown_segment", message) from None
    except UnknownSpeaker as error:
        if is_in_path:
            raise Http404(str(error)) from None
        raise ApiError(422, "unknown_speaker", str(error)) from None
    except UnknownWord as error:
        raise ApiError(422, "unknown_word", str(error)) from None
    except NothingToSplit as error:
        raise ApiError(422, "nothing_to_split", str(error)) from None
    except EditConflict as error:
        raise ApiError(409, "edit_conflict", str(error)) from None
    except WrongState as error:
        raise ApiError(409, "not_completed", str(error)) from None
    record_edit(request, row.owner_id, row.id)


def _changed(row: Transcription, segments: Iterable[Segment]) -> ChangedSpeakers:
    changed = [SegmentSpeakers.of(segment) for segment in segments]
    return ChangedSpeakers(speakers=_speakers(row), segments=changed)


@router.post(
    "/transcriptions/{id:transcription_id}/speakers/detect",
    response={202: SpeakerDetectionOut, **BODY_ERRORS, **CONFLICT},
    openapi_extra=openapi.DETECT_SPEAKERS,
)
def detect_speakers(
    request: HttpRequest, transcription_id: uuid.UUID, body: DetectIn
) -> Status[SpeakerDetectionOut]:
    """Detect the speakers of a completed recording whose audio is still stored, without recognizing
    it again. The text does not change, and speakers who are the same keep their names. `events`
    sends the change, and then `complete`. Repeating the request during a detection changes
    nothing."""
    row = permissions.transcription_for(request.user, transcription_id)
    check_speakers(Options(min_speakers=body.least, max_speakers=body.most))
    try:
        job = commands.detect_speakers(row, body.least, body.most)
    except AudioDeleted as error:
        raise ApiError(409, "audio_deleted", str(error)) from None
    except NoSpeech as error:
        raise ApiError(409, "no_speech", str(error)) from None
    except WrongState as error:
        raise ApiError(409, "not_completed", str(error)) from None
    return Status(202, SpeakerDetectionOut.of(job))


@router.delete(
    "/transcriptions/{id:transcription_id}/speakers/detect", response={204: None, **NOT_FOUND}
)
def cancel_speaker_detection(request: HttpRequest, transcription_id: uuid.UUID) -> Status[None]:
    """Cancel the detection of speakers. The existing speakers do not change."""
    row = permissions.transcription_for(request.user, transcription_id)
    diarization_jobs.cancel(row)
    return Status(204, None)


def _speakers(row: Transcription) -> list[SpeakerOut]:
    segments = row.segments.values_list("words", flat=True)
    return speakers_of(row.speakers.all(), (word for words in segments for word in words))
