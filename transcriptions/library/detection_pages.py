"""Detection of the speakers of a completed recording, on its page."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from accounts.authentication import polled
from accounts.rate_limits import Throttled
from transcriptions import permissions
from transcriptions.exceptions import WrongState
from transcriptions.library.speakers import speaker_count
from transcriptions.models.diarization_job import detection_of
from transcriptions.processing import commands, diarization_jobs


@login_required
@require_POST
def detect(request: HttpRequest, transcription_id: uuid.UUID) -> HttpResponse:
    """Start the detection of the speakers."""
    row = permissions.transcription_for(request.user, transcription_id)
    count = speaker_count(request.POST)
    try:
        commands.detect_speakers(row, count, count)
    except (Throttled, WrongState) as error:
        messages.error(request, str(error))
    return redirect("transcriptions:detail", transcription_id)


@login_required
@require_POST
def cancel(request: HttpRequest, transcription_id: uuid.UUID) -> HttpResponse:
    """Cancel the detection. It is not an error if it has already ended."""
    diarization_jobs.cancel(permissions.transcription_for(request.user, transcription_id))
    return redirect("transcriptions:detail", transcription_id)


@polled
@require_GET
def state(request: HttpRequest, transcription_id: uuid.UUID) -> HttpResponse:
    """Whether the speakers are being detected: the page polls it with htmx."""
    row = permissions.transcription_for(request.user, transcription_id)
    context = {"transcription": row, "detection": detection_of(row)}
    return render(request, "transcriptions/_detection.html", context)
