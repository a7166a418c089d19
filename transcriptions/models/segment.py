"""Segments of a transcript."""

from __future__ import annotations

from typing import ClassVar

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
    words = models.JSONField(default=list)  # [{"start", "end", "text", "no_space_before"?}, ...]

    class Meta:
        ordering: ClassVar = ["number"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["transcription", "number"], name="segment_number"),
        ]

    def __str__(self) -> str:
        return self.text
