"""Segments of a transcript."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean
from typing import Any, ClassVar

from django.db import models

from transcriptions.models.transcription import Transcription


class Segment(models.Model):
    """A part of a transcript, about one sentence long."""

    transcription = models.ForeignKey(
        Transcription, on_delete=models.CASCADE, related_name="segments"
    )
    number = models.PositiveIntegerField()  # 1, 2, 3, ... within its transcription
    start = models.FloatField()  # seconds
    end = models.FloatField()
    text = models.TextField()
    # [{"start", "end", "text", "no_space_before"?, "probability"?, "channel"?}, ...]
    words = models.JSONField(default=list)
    language = models.CharField(max_length=8, blank=True, default="", db_default="")
    channel = models.PositiveSmallIntegerField(null=True)  # null: all channels together
    # gpu.types.Decoding; null: the engine does not know, or it is an old segment.
    decoding = models.JSONField(null=True)
    # The words that were recognized, before people edited them; null: they are as recognized.
    recognized = models.JSONField(null=True)
    # The text as it was recognized later, where an edit of this segment was kept against it.
    conflict = models.TextField(blank=True, default="", db_default="")

    INTERNAL: ClassVar = ("decoding", "recognized")  # fields that transcripts do not show

    class Meta:
        ordering: ClassVar = ["number"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["transcription", "number"], name="segment_number"),
        ]

    def __str__(self) -> str:
        return self.text


def mean_probability(words: Iterable[dict[str, Any]]) -> float | None:
    """Of the words whose probability is known; None if there are none."""
    known = [word["probability"] for word in words if word.get("probability") is not None]
    return round(fmean(known), 4) if known else None
