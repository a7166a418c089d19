"""Highlights, comments and bookmarks: adding them, and copying them to a later recognition."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from transcriptions.exceptions import TooManyAnnotations
from transcriptions.models import MAX_ANNOTATIONS, Annotation, Transcription


def add_annotation(row: Transcription, **fields: Any) -> Annotation:
    """Add one to a transcript. Raises TooManyAnnotations."""
    with transaction.atomic():
        # One at a time, so that concurrent requests cannot exceed the limit.
        Transcription.objects.select_for_update(no_key=True).get(id=row.id)
        if row.notes.count() >= MAX_ANNOTATIONS:
            message = _("A transcript can have %(limit)s notes. Delete some first.")
            raise TooManyAnnotations(message % {"limit": f"{MAX_ANNOTATIONS:,}"})
        return row.notes.create(**fields)


def copy_annotations(row: Transcription) -> None:
    """Copy the annotations of `row.previous`: it is the same recording, so their times are valid
    here too. Must be called in a transaction that has locked `row`."""
    if row.previous is None:
        return
    free = MAX_ANNOTATIONS - row.notes.count()
    copies = list(row.previous.notes.all()[: max(0, free)])
    for copy in copies:
        copy.pk, copy.transcription = None, row
    Annotation.objects.bulk_create(copies)
