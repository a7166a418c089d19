"""Highlights, comments and bookmarks in a transcript."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from transcriptions.models.transcription import Transcription

MAX_ANNOTATIONS = 2000  # of a transcript


class AnnotationKind(models.TextChoices):
    """The kind of an annotation."""

    HIGHLIGHT = "highlight", _("Highlight")
    COMMENT = "comment", _("Comment")
    BOOKMARK = "bookmark", _("Bookmark")


class Color(models.TextChoices):
    """The color of a highlight."""

    YELLOW = "yellow", _("Yellow")
    GREEN = "green", _("Green")
    BLUE = "blue", _("Blue")
    PINK = "pink", _("Pink")


class Annotation(models.Model):
    """A note of a user on a passage or a moment. It belongs to a time, so it stays when the text is
    edited, renumbered or recognized again."""

    transcription = models.ForeignKey(Transcription, on_delete=models.CASCADE, related_name="notes")
    kind = models.CharField(max_length=10, choices=AnnotationKind)
    start = models.FloatField()  # seconds
    end = models.FloatField()  # for a bookmark the same as `start`
    quote = models.TextField(blank=True)  # the text of the passage when the note was created
    body = models.TextField(blank=True)  # what the user has written
    color = models.CharField(max_length=10, choices=Color, blank=True)  # of highlights
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["start", "id"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(end__gte=models.F("start")), name="annotation_not_reversed"
            ),
        ]

    def __str__(self) -> str:
        return self.body or self.quote
