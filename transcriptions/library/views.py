"""Pages: the library with its upload form, and the live transcript."""

from __future__ import annotations

import logging
import uuid
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_GET, require_POST

from accounts import concurrency
from accounts.audit_log import record_event
from accounts.authentication import authenticated_user, polled
from accounts.models import Action, User
from accounts.rate_limits import Throttled
from gpu.languages import LANGUAGES
from transcriptions import durations, permissions
from transcriptions.editing.log import position_of
from transcriptions.exceptions import (
    STORAGE_UNAVAILABLE_MESSAGE,
    AudioDeleted,
    AudioError,
    StorageUnavailable,
    WrongState,
)
from transcriptions.indexing.search import SearchRefused
from transcriptions.library.estimates import estimate
from transcriptions.library.export_choices import export_choices
from transcriptions.library.numbers import parse_number
from transcriptions.library.pagination import SearchPage, search_page
from transcriptions.library.paragraphs import blank_paragraph, groups, paragraphs
from transcriptions.library.speakers import SPEAKER_COUNTS, speaker_count, speakers_of_page
from transcriptions.media_formats import ACCEPT, COMMON_FORMATS, may_have_picture
from transcriptions.models import AudioAnalysis, Options, Segment, Transcription
from transcriptions.models.diarization_job import detection_of
from transcriptions.models.positions import set_queue_positions
from transcriptions.processing import commands
from transcriptions.storage.base import recording_storage
from transcriptions.uploads.again import recognize_again
from transcriptions.uploads.params import Changes
from transcriptions.uploads.service import UploadRefused
from transcriptions.usage import quotas
from transcriptions.usage.retention import RetentionPolicy

log = logging.getLogger(__name__)

RECORDINGS_PER_PAGE = 20
MAX_QUERY_LENGTH = 200
MAX_SEARCH_PAGE = 10_000


@require_GET
def library(request: HttpRequest) -> HttpResponse:
    """The user's recordings, optionally searched; the welcome page for visitors."""
    if not request.user.is_authenticated:
        return render(request, "welcome.html")
    user = authenticated_user(request)
    query = request.GET.get("q", "").strip()[:MAX_QUERY_LENGTH]
    rows = permissions.visible_to(user)
    number = request.GET.get("page", "1")
    page: Page[Transcription] | SearchPage
    if query:
        page, search_error = _search(user, rows, query, number)
    else:
        page, search_error = Paginator(rows, RECORDINGS_PER_PAGE).get_page(number), ""
        page.object_list = list(page.object_list)
    set_queue_positions(list(page))
    context = {
        "page": page,
        "unfinished": [row for row in page if not row.is_finished],
        "query": query,
        "search_error": search_error,
        **export_choices(user),
        **_upload_form_context(user),
    }
    return render(request, "transcriptions/library.html", context)


def _parse_id(value: str) -> uuid.UUID | None:
    """The id of a recording; None if it is not valid."""
    try:
        return uuid.UUID(value)
    except ValueError:
        return None


def _search(
    user: User, rows: QuerySet[Transcription], query: str, page: str
) -> tuple[SearchPage, str]:
    """A page of results, and a message if the query is refused."""
    number = min(max(parse_number(page) or 1, 1), MAX_SEARCH_PAGE)
    with concurrency.searches.hold(user):
        try:
            return search_page(rows, query, number, RECORDINGS_PER_PAGE), ""
        except SearchRefused as error:
            return SearchPage([], 1, has_next=False), str(error)


@gzip_page  # reduces thousands of segments to a tenth of their size
@login_required
@require_GET
def detail(request: HttpRequest, transcription_id: uuid.UUID) -> HttpResponse:
    """A transcript: the segments so far. The page's script adds new ones as they are recognized."""
    transcription = permissions.transcription_for(request.user, transcription_id)
    retention = RetentionPolicy.of(authenticated_user(request))
    segments = list(transcription.segments.defer("words", *Segment.INTERNAL))
    speakers = speakers_of_page(transcription, segments)
    is_live = transcription.is_live and not transcription.is_finished
    is_waiting = not transcription.is_finished and not segments
    detection = detection_of(transcription)
    context = {
        "transcription": transcription,
        "audio_until": retention.audio_until(transcription) if transcription.source else None,
        "until": retention.until(transcription),
        "has_waveform": AudioAnalysis.has_waveform(transcription),
        "may_have_picture": may_have_picture(transcription.format),
        "has_transcript": transcription.has_transcript,
        "edits": position_of(transcription),
        "groups": groups(paragraphs(segments, speakers)),
        "blank": [blank_paragraph()],
        "speakers": speakers,
        "detection": detection,
        "is_detecting": detection is not None and not detection.error,
        "is_live": is_live,
        "is_waiting": is_waiting,
        "estimate": estimate(transcription) if is_waiting and not is_live else "",
        "language": LANGUAGES.get(transcription.language, ""),
        "languages": _languages(),
        "speaker_counts": SPEAKER_COUNTS,
        **export_choices(authenticated_user(request)),
    }
    return render(request, "transcriptions/detail.html", context)


@polled
@require_GET
def rows(request: HttpRequest) -> HttpResponse:
    """Rows of the library by `id`, which htmx polls while the recordings are processed.

    Recordings that do not exist or belong to others are left out.
    """
    ids = map(_parse_id, request.GET.getlist("id")[:RECORDINGS_PER_PAGE])
    visible = permissions.visible_to(request.user).filter(id__in=filter(None, ids))
    found = list(visible)
    set_queue_positions(found)
    unfinished = [row for row in found if not row.is_finished]
    context = {"rows": found, "unfinished": unfinished, "is_update": True}
    return render(request, "transcriptions/_live_rows.html", context)


@polled
@require_GET
def queue_position(request: HttpRequest, transcription_id: uuid.UUID) -> HttpResponse:
    """How many recordings are ahead, and how long recognition takes: htmx polls this while a
    recording waits."""
    transcription = permissions.transcription_for(request.user, transcription_id)
    context = {"transcription": transcription, "estimate": estimate(transcription)}
    return render(request, "transcriptions/_waiting.html", context)


@login_required
@require_POST
def cancel(request: HttpRequest, transcription_id: uuid.UUID) -> HttpResponse:
    """Stop processing. It is not an error if the recording has already finished."""
    with suppress(WrongState):
        commands.cancel(permissions.transcription_for(request.user, transcription_id))
    return redirect("transcriptions:detail", transcription_id)


@login_required
@require_POST
def retry(request: HttpRequest, transcription_id: uuid.UUID) -> HttpResponse:
    """Retry a failed recording or resume a cancelled one."""
    try:
        commands.retry(permissions.transcription_for(request.user, transcription_id))
    except (Throttled, AudioError, AudioDeleted) as error:
        messages.error(request, str(error))
    except WrongState:
        pass  # another request has restarted it already
    return redirect("transcriptions:detail", transcription_id)


@login_required
@require_POST
def recognize(request: HttpRequest, transcription_id: uuid.UUID) -> HttpResponse:
    """Recognize the same file again, as a new recording: in another language, with or without
    speakers, or another track."""
    row = permissions.transcription_for(request.user, transcription_id)
    try:
        row = recognize_again(row, _changes(request.POST), request=request)
    except (Throttled, UploadRefused, WrongState) as error:
        messages.error(request, str(error))
    except StorageUnavailable:
        log.warning("%s: not recognized again", row.id, exc_info=True)
        messages.error(request, str(STORAGE_UNAVAILABLE_MESSAGE))
    return redirect("transcriptions:detail", row.id)


def _changes(posted: QueryDict) -> Changes:
    """The changes that two forms request: another track, or another language and speakers."""
    if "track" in posted:
        track = parse_number(posted.get("track", ""))
        return Changes(track=-1 if track is None else track)
    diarize = "diarize" in posted
    number = speaker_count(posted) if diarize else None
    speakers = {"diarize": diarize, "min_speakers": number, "max_speakers": number}
    return Changes(posted.get("language"), options=tuple(speakers.items()))


@login_required
@require_POST
def delete(request: HttpRequest, transcription_id: uuid.UUID) -> HttpResponse:
    """Delete a recording with its files and redirect to the library."""
    transcription = permissions.transcription_for(request.user, transcription_id)
    transcription.delete()
    record_event(request, Action.DELETED, recording=transcription_id)
    message = _("“%(title)s” has been deleted.") % {"title": transcription.title}
    messages.success(request, message)
    return redirect("transcriptions:library")


def _languages() -> list[tuple[str, str]]:
    """Codes and names, by name."""
    return sorted(LANGUAGES.items(), key=lambda item: item[1])


def _upload_form_context(user: User) -> dict[str, Any]:
    plan = user.effective_plan
    max_duration_s = quotas.longest_recording(plan, settings.MAX_DURATION_SECONDS)
    return {
        "languages": _languages(),
        "speaker_counts": SPEAKER_COUNTS,
        "default_options": Options(diarize=user.detect_speakers),
        "formats": COMMON_FORMATS,
        "accept": ACCEPT,
        "direct_uploads": recording_storage().direct,
        "max_megabytes": quotas.largest_file(plan, settings.MAX_FILE_SIZE_MB),
        "longest": durations.limit(max_duration_s),
    }
