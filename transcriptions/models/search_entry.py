"""The full-text index of titles and segments."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.utils.translation import gettext_lazy as _

from transcriptions.models.transcription import Transcription

# Hashes of the words of an entry (migration 0029).
SEARCH_KEYS = models.Func(
    models.F("vector"),
    function="transcriptions_search_keys",
    output_field=ArrayField(models.BigIntegerField()),
)


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
        verbose_name_plural = _("search entries")
        # Without `fastupdate`, which would collect new entries in a list that each search reads.
        indexes: ClassVar = [GinIndex(SEARCH_KEYS, name="search_keys", fastupdate=False)]

    def __str__(self) -> str:
        return f"{self.transcription_id} {self.number}"
