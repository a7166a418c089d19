"""The page on which users record speech and read the text while they speak."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from accounts.authentication import authenticated_user
from gpu.languages import LANGUAGES
from transcriptions.library.speakers import SPEAKER_COUNTS
from transcriptions.models import Options


@login_required
@require_GET
def record(request: HttpRequest) -> HttpResponse:
    """The recorder. Its scripts do the rest: see static/js/live-recorder.js."""
    user = authenticated_user(request)
    context = {
        "languages": sorted(LANGUAGES.items(), key=lambda item: item[1]),
        "speaker_counts": SPEAKER_COUNTS,
        "default_options": Options(diarize=user.detect_speakers),
    }
    return render(request, "transcriptions/record.html", context)
