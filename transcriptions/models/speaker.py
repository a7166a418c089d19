"""The speakers of a recording."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from transcriptions.models.transcription import Transcription

MAX_NAME_CHARS = 100


class VoiceUse(models.TextChoices):
    """The relation of a speaker to a stored voice."""

    NONE = "", _("None")
    RECOGNIZED = "recognized", _("Recognized")  # the name comes from the voice
    WAITING = "waiting", _("Waiting")  # the voice is to be learned from the speaker
    LEARNED = "learned", _("Learned")


class Speaker(models.Model):
    """A person who speaks in a recording. Words and segments refer to the number."""

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
    voice_use = models.CharField(
        max_length=10, choices=VoiceUse, blank=True, default=VoiceUse.NONE, db_default=""
    )
    # Also null if the voice was recognized by a reference, which is not kept, or was deleted.
    voice = models.ForeignKey(
        "transcriptions.Voice", null=True, on_delete=models.SET_NULL, related_name="speakers"
    )

    class Meta:
        ordering: ClassVar = ["number"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["transcription", "number"], name="speaker_number"),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["id"], name="voice_waiting", condition=models.Q(voice_use=VoiceUse.WAITING)
            ),
        ]

    def __str__(self) -> str:
        return speaker_label(self.number, self.name)

    @property
    def is_recognized(self) -> bool:
        """Whether the name was found by voice, not given by a user."""
        return self.voice_use == VoiceUse.RECOGNIZED


def speaker_label(number: int, name: str = "") -> str:
    """The text to show for a speaker: the name, if there is one."""
    return name or gettext("Speaker %(number)d") % {"number": number}
