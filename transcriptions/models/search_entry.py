"""The full-text index of titles and segments."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models

from transcriptions.models.transcription import Transcription


class SearchEntry(models.Model):
    """The words of a title or of a segment. Written only by triggers (migration 0020), in the
    transaction that changes the text."""

    pk = models.CompositePrimaryKey("transcription_id", "number")
    transcription = models.ForeignKey(
        Transcription, on_delete=models.CASCADE, related_name="search_entries", db_index=False
    )
    number = models.PositiveIntegerField()  # of the segment; 0: the title
    vector = SearchVectorField()

    class Meta:
        indexes: ClassVar = [GinIndex(fields=["vector"], name="search_vector")]

    def __str__(self) -> str:
        return f"{self.transcription_id} {self.number}"
