"""The waveform of a recording, for players."""

from __future__ import annotations

import uuid
from typing import Annotated

from django.http import HttpRequest
from ninja import Query, Router, Schema
from pydantic import Field

from accounts.schemas import ErrorOut, example
from transcriptions import permissions
from transcriptions.api.transcriptions import NOT_FOUND
from transcriptions.models import AudioAnalysis

router = Router(tags=["transcriptions"])

DEFAULT_POINTS, MAX_POINTS = 1_600, 100_000
_EXAMPLE = {"duration": 3.2, "rms": [0, 31, 64, 40], "peaks": [2, 140, 255, 180]}

Points = Annotated[int, Query(ge=1, le=MAX_POINTS, description="Maximum number of points")]
Values = list[Annotated[int, Field(ge=0, le=255)]]


class WaveformOut(Schema):
    """The loudness of a recording: the RMS and the peak of equal parts, from 0 to 255, which is the
    highest peak. Empty until the audio is prepared."""

    duration: float | None = Field(description="Total duration of all parts, in seconds")
    rms: Values
    peaks: Values


@router.get(
    "/transcriptions/{id:transcription_id}/waveform",
    response={200: WaveformOut, **NOT_FOUND, 422: ErrorOut},
    openapi_extra=example(200, _EXAMPLE),
)
def get_waveform(
    request: HttpRequest, transcription_id: uuid.UUID, points: Points = DEFAULT_POINTS
) -> WaveformOut:
    """Get the loudness of a recording over time, to draw its waveform."""
    row = permissions.transcription_for(request.user, transcription_id)
    found = AudioAnalysis.waveform_of(row).reduced(points)
    return WaveformOut(duration=row.duration, rms=[*found.rms], peaks=[*found.peaks])
