"""The transcripts of several recordings as one ZIP file."""

from __future__ import annotations

import uuid
from typing import Annotated

from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from ninja import Router
from pydantic import Field

from accounts import concurrency
from accounts.audit_log import record_event
from accounts.authentication import authenticated_user, read_auth
from accounts.models import Action
from accounts.schemas import Body, ErrorOut
from transcriptions import permissions
from transcriptions.api import openapi
from transcriptions.api.errors import ApiError
from transcriptions.api.subtitles import export_options
from transcriptions.api.transcriptions import BODY_ERRORS, COMMON_ERRORS
from transcriptions.exports.params import ExportFormat, ExportParams
from transcriptions.exports.zip_files import export_archive, in_chunks, stream

MAX_RECORDINGS = 100

router = Router(tags=["transcriptions"])


class ArchiveIn(ExportParams):
    """The recordings, the format, and the options of an export."""

    model_config = Body.example(ids=[openapi.EXAMPLE_ID], format="srt", profile="netflix")

    ids: Annotated[list[uuid.UUID], Field(min_length=1, max_length=MAX_RECORDINGS)]
    format: ExportFormat = "txt"


@router.post(
    "/transcriptions/export",
    response={200: None, **COMMON_ERRORS, **BODY_ERRORS, 409: ErrorOut},
    auth=read_auth,
    openapi_extra=openapi.EXPORT_ARCHIVE,
)
def export_transcripts(request: HttpRequest, body: ArchiveIn) -> StreamingHttpResponse:
    """Export the transcripts of up to 100 recordings as one ZIP file. Recordings that have no
    transcript, or that do not exist, are listed in its file `left-out.txt`."""
    user = authenticated_user(request)
    options = export_options(request, body)
    ids = [*dict.fromkeys(body.ids)]
    found = [row for row in permissions.visible_to(user).filter(id__in=ids) if row.has_transcript]
    if not found:
        raise ApiError(409, "not_completed", _("None of these recordings has a transcript."))
    chunks = stream(in_chunks(export_archive(user, ids, body.format, options)))
    sent = concurrency.exports.hold_while_sent(user, chunks)
    for row in found:
        record_event(request, Action.EXPORTED, body.format, recording=row.id)
    name = f"transcripts-{timezone.now():%Y-%m-%d}.zip"
    return StreamingHttpResponse(
        sent,
        content_type="application/zip",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
