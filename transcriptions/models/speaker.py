"""The speakers of a recording."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.utils.translation import gettext as _

from transcriptions.models.transcription import Transcription

MAX_NAME_CHARS = 100


class Speaker(models.Model):
    """Somebody who speaks in a recording. Words and segments have the number."""

    transcription = models.ForeignKey(
        Transcription, on_delete=models.CASCADE, related_name="speakers"
    )
    number = models.PositiveSmallIntegerField()  # 1, 2, 3, ... in the order of the first words
    name = models.CharField(max_length=MAX_NAME_CHARS, blank=True, default="", db_default="")
    # For the search `speaker:anna` (migration 0039).
    name_words = models.GeneratedField(
        expression=models.Func(models.F("name"), function="transcriptions_name_words"),
        output_field=SearchVectorField(),
        db_persist=True,
    )

    class Meta:
        ordering: ClassVar = ["number"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["transcription", "number"], name="speaker_number"),
        ]

    def __str__(self) -> str:
        return speaker_label(self.number, self.name)


def speaker_label(number: int, name: str = "") -> str:
    """What is shown for a speaker: the name, if there is one."""
    return name or _("Speaker %(number)d") % {"number": number}
