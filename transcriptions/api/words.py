"""The times of the words, for the page of a transcript."""

from __future__ import annotations

import uuid

from django.http import HttpRequest, HttpResponse
from django.views.decorators.gzip import gzip_page
from ninja import Router
from ninja.decorators import decorate_view

from transcriptions import permissions
from transcriptions.api.transcriptions import NOT_FOUND
from transcriptions.schemas.word_times import EXAMPLE, WordTimesOut

router = Router(tags=["transcriptions"])


@router.get(
    "/transcriptions/{id:transcription_id}/words",
    response={200: WordTimesOut, **NOT_FOUND},
    openapi_extra=EXAMPLE,
)
@decorate_view(gzip_page)
def word_times(request: HttpRequest, transcription_id: uuid.UUID) -> HttpResponse:
    """Get the time of each word and its position in the text of its segment, for players that
    highlight words. The response is small even for long transcripts, and does not contain their
    text."""
    row = permissions.transcription_for(request.user, transcription_id)
    content = WordTimesOut.of(row).model_dump_json()
    return HttpResponse(content, content_type="application/json; charset=utf-8")
