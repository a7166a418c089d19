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
    # [{"start", "end", "text", "no_space_before"?, "probability"?, "channel"?, "speaker"?,
    # "overlap"?}, ...]
    words = models.JSONField(default=list)
    language = models.CharField(max_length=8, blank=True, default="", db_default="")
    channel = models.PositiveSmallIntegerField(null=True)  # null: all channels together
    speaker = models.PositiveSmallIntegerField(null=True)  # of most of its words; null: unknown
    # Whether a paragraph begins with it; null: no user has set this, see
    # exports/page_paragraphs.py.
    paragraph = models.BooleanField(null=True)
    # gpu.types.Decoding; null: the engine does not know, or it is an old segment.
    decoding = models.JSONField(null=True)
    # The recognized words, if users have edited them; null: unchanged.
    recognized = models.JSONField(null=True)
    # The text that was recognized later, if an edit of this segment was kept instead.
    conflict = models.TextField(blank=True, default="", db_default="")

    INTERNAL: ClassVar = ("decoding", "recognized")  # fields that transcripts do not show

    class Meta:
        ordering: ClassVar = ["number"]
        constraints: ClassVar = [
            # Checked after each statement: one statement gives new numbers to many segments.
            models.UniqueConstraint(
                fields=["transcription", "number"],
                name="segment_number",
                deferrable=models.Deferrable.IMMEDIATE,
            ),
        ]

    def __str__(self) -> str:
        return self.text


def mean_probability(words: Iterable[dict[str, Any]]) -> float | None:
    """Mean of the known probabilities; None if there are none."""
    known = [word["probability"] for word in words if word.get("probability") is not None]
    return round(fmean(known), 4) if known else None


def main_speaker(words: Iterable[dict[str, Any]]) -> int | None:
    """The speaker with the longest total duration; None if unknown."""
    seconds: dict[int, float] = {}
    for word in words:
        if (speaker := word.get("speaker")) is not None:
            seconds[speaker] = seconds.get(speaker, 0.0) + word["end"] - word["start"]
    return max(seconds, key=lambda speaker: seconds[speaker], default=None)
