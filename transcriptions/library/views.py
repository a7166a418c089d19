"""The pages: the library with its upload box, and the live transcript."""

from __future__ import annotations

import uuid
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from accounts.audit_log import record_event
from accounts.authentication import authenticated_user
from accounts.models import Action, Plan
from accounts.rate_limits import Throttled
from gpu.languages import LANGUAGES
from transcriptions import durations, permissions
from transcriptions.exceptions import AudioDeleted, AudioError, WrongState
from transcriptions.exports.documents import EXPORTERS
from transcriptions.indexing import search
from transcriptions.processing import commands
from transcriptions.processing.media import FORMATS
from transcriptions.usage import quotas
from transcriptions.usage.retention import RetentionPolicy

PER_PAGE = 20


@require_GET
def library(request: HttpRequest) -> HttpResponse:
    """Everything the person has; a visitor reads what this is."""
    if not request.user.is_authenticated:
        return render(request, "welcome.html")
    words = request.GET.get("q", "").replace("\0", "").strip()[:200]
    everything = permissions.visible_to(request.user)
    rows = search.matching(everything, words) if words else everything
    page = Paginator(rows.defer("spans", "peaks"), PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "words": words,
        **_upload_box(authenticated_user(request).effective_plan),
    }
    return render(request, "transcriptions/library.html", context)


@login_required
@require_GET
def detail(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    """One recording: what is known of its transcript, then live."""
    found = permissions.transcription_for(request.user, id)
    terms = RetentionPolicy.of(authenticated_user(request))
    context = {
        "transcription": found,
        "audio_until": terms.audio_until(found) if found.source else None,
        "until": terms.until(found),
        "segments": found.segments.defer("words"),
        "language": LANGUAGES.get(found.language, ""),
        "formats": EXPORTERS,
    }
    return render(request, "transcriptions/detail.html", context)


@login_required
@require_GET
def row(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    """One line of the library, as htmx asks for it while its recording is worked on."""
    context = {"transcription": permissions.transcription_for(request.user, id)}
    return render(request, "transcriptions/_row.html", context)


@login_required
@require_POST
def cancel(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    """Stops the work on it. That it has ended meanwhile is what was wanted too."""
    with suppress(WrongState):
        commands.cancel(permissions.transcription_for(request.user, id))
    return redirect("transcriptions:detail", id)


@login_required
@require_POST
def retry(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    """Goes on with what has failed or was cancelled."""
    try:
        commands.retry(permissions.transcription_for(request.user, id))
    except (Throttled, AudioError, AudioDeleted) as error:
        messages.error(request, str(error))
    except WrongState:
        pass  # somebody was quicker: it is under way already
    return redirect("transcriptions:detail", id)


@login_required
@require_POST
def delete(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    """Deletes for good and goes back to the library."""
    found = permissions.transcription_for(request.user, id)
    found.delete()
    record_event(request, Action.DELETED, found.title)
    messages.success(request, f"“{found.title}” has been deleted.")
    return redirect("transcriptions:library")


def _upload_box(plan: Plan) -> dict[str, Any]:
    longest = quotas.longest_recording(plan, settings.MAX_DURATION_SECONDS)
    return {
        "languages": sorted(LANGUAGES.items(), key=lambda item: item[1]),
        "formats": FORMATS,
        "max_megabytes": quotas.largest_file(plan, settings.MAX_FILE_SIZE_MB),
        "longest": durations.limit(longest),
    }
