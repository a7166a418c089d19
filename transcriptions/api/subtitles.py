"""The quality of subtitles, and the profiles of a user."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from django.http import Http404, HttpRequest
from django.utils.translation import gettext as _
from ninja import Path, Query, Router, Status

from accounts.authentication import authenticated_user
from accounts.schemas import ErrorOut, example
from transcriptions import permissions
from transcriptions.api.errors import ApiError
from transcriptions.exports.options import ExportOptions
from transcriptions.exports.params import ExportParams, UnknownProfile
from transcriptions.exports.profiles import DEFAULT_PROFILE
from transcriptions.exports.report import SubtitlesOut, quality_report
from transcriptions.exports.service import transcript_of
from transcriptions.exports.timing import retime
from transcriptions.exports.user_profiles import (
    NAME_PATTERN,
    ProfileIn,
    ProfileOut,
    ProfileRefused,
    delete_profile,
    profiles_of,
    save_profile,
)
from transcriptions.models import Transcription

router = Router(tags=["subtitles"])

ERRORS: dict[Any, Any] = {401: ErrorOut, 403: ErrorOut, 429: ErrorOut}
_CUE = {
    "start": 0.4,
    "end": 3.2,
    "lines": ["I am walking along the harbor."],
    "segment": 1,
    "line_chars": 30,
    "chars_per_second": 10.7,
    "violations": [{"norm": "min_duration", "value": 0.7, "limit": 0.833}],
}
_REPORT = {
    "profile": "netflix",
    "passed": 41,
    "share": 0.9762,
    "failures": {"min_duration": 1},
    "cues": [_CUE],
}
_PROFILE = ProfileOut.of(DEFAULT_PROFILE).model_dump()
ProfileName = Annotated[
    str, Path(pattern=NAME_PATTERN, max_length=40, description="Letters, digits, spaces, and `.-_`")
]


def transcript_for(request: HttpRequest, transcription_id: uuid.UUID) -> Transcription:
    """The recording, if it has a transcript. Raises Http404 and ApiError."""
    row = permissions.transcription_for(request.user, transcription_id)
    if not row.has_transcript:
        raise ApiError(409, "not_completed", _("There is no transcript yet."))
    return row


def export_options(request: HttpRequest, params: ExportParams) -> ExportOptions:
    """The options that a request chooses. Raises ApiError for an unknown profile."""
    try:
        return params.options(profiles_of(authenticated_user(request)))
    except UnknownProfile as error:
        raise ApiError(422, "invalid_field", str(error)) from None


@router.get(
    "/transcriptions/{id:transcription_id}/subtitles",
    response={200: SubtitlesOut, **ERRORS, **dict.fromkeys((404, 409, 422), ErrorOut)},
    openapi_extra=example(200, _REPORT),
)
def report_subtitles(
    request: HttpRequest, transcription_id: uuid.UUID, params: Query[ExportParams]
) -> SubtitlesOut:
    """List the subtitles of a transcript, each with the rules of the profile that it breaks. The
    subtitles are the same as in an export with these options."""
    row = transcript_for(request, transcription_id)
    options = export_options(request, params)
    return quality_report(retime(transcript_of(row, words=True), options), options)


@router.get(
    "/subtitle-profiles",
    response={200: list[ProfileOut], **ERRORS},
    openapi_extra=example(200, [_PROFILE]),
)
def list_profiles(request: HttpRequest) -> list[ProfileOut]:
    """List the profiles: the built-in ones, then your own."""
    return [ProfileOut.of(profile) for profile in profiles_of(authenticated_user(request)).values()]


@router.put(
    "/subtitle-profiles/{name}",
    response={
        200: ProfileOut,
        201: ProfileOut,
        **ERRORS,
        **dict.fromkeys((400, 409, 413, 422), ErrorOut),
    },
    openapi_extra={
        "responses": example(200, _PROFILE)["responses"] | example(201, _PROFILE)["responses"]
    },
)
def put_profile(request: HttpRequest, name: ProfileName, body: ProfileIn) -> Status[ProfileOut]:
    """Create or replace one of your own profiles. Exports select it with `profile`."""
    try:
        profile, is_new = save_profile(authenticated_user(request), name, body)
    except ProfileRefused as error:
        raise ApiError(409, "profile_refused", str(error)) from None
    return Status(201 if is_new else 200, ProfileOut.of(profile))


@router.delete(
    "/subtitle-profiles/{name}", response={204: None, **ERRORS, 404: ErrorOut, 422: ErrorOut}
)
def remove_profile(request: HttpRequest, name: ProfileName) -> Status[None]:
    """Delete one of your own profiles."""
    if not delete_profile(authenticated_user(request), name):
        raise Http404(_("There is no profile with this name."))
    return Status(204, None)
