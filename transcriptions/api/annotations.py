"""Highlights, comments and bookmarks of a transcript."""

from __future__ import annotations

import uuid

from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from ninja import Router, Status

from transcriptions import permissions
from transcriptions.api.errors import ApiError
from transcriptions.api.transcriptions import BODY_ERRORS, CONFLICT, NOT_FOUND
from transcriptions.editing.annotations import add_annotation
from transcriptions.exceptions import TooManyAnnotations
from transcriptions.models import AnnotationKind
from transcriptions.schemas.annotations import (
    CHANGED_EXAMPLE,
    CREATED_EXAMPLE,
    LIST_EXAMPLE,
    AnnotationChange,
    AnnotationIn,
    AnnotationOut,
)

router = Router(tags=["transcriptions"])


@router.get(
    "/transcriptions/{id:transcription_id}/annotations",
    response={200: list[AnnotationOut], **NOT_FOUND},
    openapi_extra=LIST_EXAMPLE,
)
def list_annotations(request: HttpRequest, transcription_id: uuid.UUID) -> list[AnnotationOut]:
    """List the highlights, comments and bookmarks of a transcript, in order of time."""
    row = permissions.transcription_for(request.user, transcription_id)
    return [AnnotationOut.of(annotation) for annotation in row.notes.all()]


@router.post(
    "/transcriptions/{id:transcription_id}/annotations",
    response={201: AnnotationOut, **BODY_ERRORS, **CONFLICT},
    openapi_extra=CREATED_EXAMPLE,
)
def create_annotation(
    request: HttpRequest, transcription_id: uuid.UUID, new: AnnotationIn
) -> Status[AnnotationOut]:
    """Highlight a passage, comment on it, or set a bookmark. It keeps its times when the text is
    edited, and is copied when the recording is recognized again."""
    row = permissions.transcription_for(request.user, transcription_id)
    try:
        annotation = add_annotation(row, **new.columns())
    except TooManyAnnotations as error:
        raise ApiError(409, "too_many_annotations", str(error)) from None
    return Status(201, AnnotationOut.of(annotation))


@router.patch(
    "/transcriptions/{id:transcription_id}/annotations/{int:annotation_id}",
    response={200: AnnotationOut, **BODY_ERRORS, **NOT_FOUND},
    openapi_extra=CHANGED_EXAMPLE,
)
def change_annotation(
    request: HttpRequest, transcription_id: uuid.UUID, annotation_id: int, change: AnnotationChange
) -> AnnotationOut:
    """Change the text of an annotation, or the color of a highlight."""
    annotation = permissions.annotation_for(request.user, transcription_id, annotation_id)
    if change.color and annotation.kind != AnnotationKind.HIGHLIGHT:
        raise ApiError(422, "invalid_field", _("Only a highlight has a color."))
    if change.body == "" and annotation.kind == AnnotationKind.COMMENT:
        raise ApiError(422, "invalid_field", _("Write a comment, or delete it."))
    changed = change.model_dump(exclude_none=True)
    for name, value in changed.items():
        setattr(annotation, name, value)
    annotation.updated_at = timezone.now()
    annotation.save(update_fields=[*changed, "updated_at"])
    return AnnotationOut.of(annotation)


@router.delete(
    "/transcriptions/{id:transcription_id}/annotations/{int:annotation_id}",
    response={204: None, **NOT_FOUND},
)
def delete_annotation(
    request: HttpRequest, transcription_id: uuid.UUID, annotation_id: int
) -> Status[None]:
    """Delete a highlight, a comment or a bookmark."""
    permissions.annotation_for(request.user, transcription_id, annotation_id).delete()
    return Status(204, None)
