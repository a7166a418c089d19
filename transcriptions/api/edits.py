"""Changes of transcripts: dividing, joining, inserting and deleting segments, undo, redo, and
earlier versions."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Annotated

from django.http import HttpRequest
from ninja import Query, Router

from accounts.audit_log import record_edit
from accounts.schemas import ErrorOut
from gpu.joining import one_line
from transcriptions import permissions
from transcriptions.api import openapi
from transcriptions.api.errors import edit_errors
from transcriptions.api.transcriptions import BODY_ERRORS, CONFLICT, NOT_FOUND
from transcriptions.editing import log, versions
from transcriptions.editing.log import Done
from transcriptions.editing.replacing import NewSegment, Replacement, replace_segments
from transcriptions.editing.versions import Passage, Version
from transcriptions.models import Segment, Transcription
from transcriptions.schemas.edits import (
    MAX_SEGMENT_NUMBER,
    EditsIn,
    EditsOut,
    PassageOut,
    ReplacedOut,
    ReplacementIn,
    TextOut,
    VersionDetailsOut,
    VersionOut,
)
from transcriptions.schemas.transcripts import SegmentOut

router = Router(tags=["transcriptions"])

KnownRevision = Annotated[
    int | None,
    Query(
        ge=0,
        le=MAX_SEGMENT_NUMBER,
        description="The last revision that you know. If there is a later one, the response is "
        "409, so that a request that is sent twice changes the transcript once",
    ),
]


@router.post(
    "/transcriptions/{id:transcription_id}/edits",
    response={200: EditsOut, **BODY_ERRORS, **CONFLICT},
    by_alias=True,  # `from` is a keyword in Python
    openapi_extra=openapi.EDITS,
)
def edit_transcript(request: HttpRequest, transcription_id: uuid.UUID, edits: EditsIn) -> EditsOut:
    """Replace segments with others: correct, divide, join, insert or delete them. Unchanged words
    keep their timestamps, and the segments after them are renumbered."""
    row = permissions.transcription_for(request.user, transcription_id)
    replacements = [_replacement(change) for change in edits.changes]
    return _made(request, row, lambda: replace_segments(row, replacements, edits.revision))


@router.post(
    "/transcriptions/{id:transcription_id}/edits/undo",
    response={200: EditsOut, **CONFLICT, 422: ErrorOut},
    by_alias=True,
    openapi_extra=openapi.EDITS,
)
def undo_edit(
    request: HttpRequest, transcription_id: uuid.UUID, revision: KnownRevision = None
) -> EditsOut:
    """Undo the last change of the text or of speakers."""
    row = permissions.transcription_for(request.user, transcription_id)
    return _made(request, row, lambda: log.undo(row, revision))


@router.post(
    "/transcriptions/{id:transcription_id}/edits/redo",
    response={200: EditsOut, **CONFLICT, 422: ErrorOut},
    by_alias=True,
    openapi_extra=openapi.EDITS,
)
def redo_edit(
    request: HttpRequest, transcription_id: uuid.UUID, revision: KnownRevision = None
) -> EditsOut:
    """Redo the change that was undone last."""
    row = permissions.transcription_for(request.user, transcription_id)
    return _made(request, row, lambda: log.redo(row, revision))


@router.get(
    "/transcriptions/{id:transcription_id}/versions",
    response={200: list[VersionOut], **NOT_FOUND},
    openapi_extra=openapi.VERSIONS,
)
def list_versions(request: HttpRequest, transcription_id: uuid.UUID) -> list[VersionOut]:
    """List the versions of a transcript, the current one first."""
    row = permissions.transcription_for(request.user, transcription_id)
    return [_version(version) for version in versions.versions(row)]


@router.get(
    "/transcriptions/{id:transcription_id}/versions/{int:revision}",
    response={200: VersionDetailsOut, **NOT_FOUND},
    openapi_extra=openapi.VERSION,
)
def compare_version(
    request: HttpRequest, transcription_id: uuid.UUID, revision: int
) -> VersionDetailsOut:
    """Compare a version with the current transcript."""
    row = permissions.transcription_for(request.user, transcription_id)
    with edit_errors():
        passages = versions.passages(row, revision)
    return VersionDetailsOut(revision=revision, passages=[_passage(each) for each in passages])


@router.post(
    "/transcriptions/{id:transcription_id}/versions/{int:revision}/restore",
    response={200: EditsOut, **CONFLICT},
    by_alias=True,
    openapi_extra=openapi.EDITS,
)
def restore_version(request: HttpRequest, transcription_id: uuid.UUID, revision: int) -> EditsOut:
    """Restore a version of the transcript. This is a change, too, and can be undone."""
    row = permissions.transcription_for(request.user, transcription_id)
    return _made(request, row, lambda: versions.restore(row, revision))


def _made(request: HttpRequest, row: Transcription, change: Callable[[], Done]) -> EditsOut:
    with edit_errors():
        done = change()
    record_edit(request, row.owner_id, row.id)
    return _edits(done)


# --- JSON -----------------------------------------------------------------------------------------


def _replacement(change: ReplacementIn) -> Replacement:
    new = [
        NewSegment(one_line(each.text), each.speaker, each.paragraph) for each in change.segments
    ]
    return Replacement(change.first, change.last, new, change.expected_texts)


def _edits(done: Done) -> EditsOut:
    changes, moved = list[ReplacedOut](), 0
    for first, count, new in done.replaced:
        numbered = enumerate(new, first + moved)
        segments = [SegmentOut.of(Segment(number=number, **fields)) for number, fields in numbered]
        changes.append(ReplacedOut(first=first, last=first + count - 1, segments=segments))
        moved += len(new) - count
    names = None if done.names is None else {int(n): name for n, name in done.names.items()}
    return EditsOut(
        revision=done.position.revision,
        changes=changes,
        undo=done.position.can_undo,
        redo=done.position.can_redo,
        speakers=names,
    )


def _version(version: Version) -> VersionOut:
    kinds = list(version.kinds)
    return VersionOut(revision=version.revision, at=version.at, edits=version.edits, kinds=kinds)


def _passage(passage: Passage) -> PassageOut:
    texts = [TextOut(kind=text.kind, text=text.text) for text in passage.texts]
    before, now = passage.speakers
    return PassageOut(start=passage.start, speaker_before=before, speaker=now, texts=texts)
