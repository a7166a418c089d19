"""Voices of people. They are biometric data: see "Voices" in SECURITY.md."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Value
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from transcriptions.models.speaker import MAX_NAME_CHARS, Speaker, VoiceUse
from transcriptions.models.transcription import Transcription
from transcriptions.models.voice_request import VoiceRequest, VoiceRequestQuerySet

MAX_VOICES = 100  # of an account


class VoiceState(models.TextChoices):
    """Whether a voice can be recognized."""

    LEARNING = "learning", _("Learning…")
    READY = "ready", _("Ready")
    FAILED = "failed", _("Could not be learned")


class VoiceQuerySet(models.QuerySet["Voice"]):
    """Queries of voices."""

    def with_waiting(self) -> models.QuerySet[Voice]:
        """With `is_waiting`: whether there is a speaker from whom the voice is to be learned."""
        waiting = Speaker.objects.filter(voice=OuterRef("pk"), voice_use=VoiceUse.WAITING)
        return self.annotate(is_waiting=Exists(waiting))

    def named(self, name: str) -> models.QuerySet[Voice]:
        """Voices with this name, ignoring case."""
        return self.alias(lower=Lower("name")).filter(lower=Lower(Value(name)))


class Voice(models.Model):
    """The voice of a person whom a user wants to be recognized in future recordings."""

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="voices"
    )
    name = models.CharField(max_length=MAX_NAME_CHARS)
    # A unit vector of 16-bit numbers; null until it was learned from the first recording.
    vector = models.BinaryField(null=True)
    model = models.CharField(max_length=40, blank=True)  # that computed the vector
    recordings = models.PositiveIntegerField(default=0)  # of which the vector is the mean
    created_at = models.DateTimeField(default=timezone.now)
    # Why it was not learned from the recording that was chosen last, for the owner.
    error = models.TextField(blank=True, default="", db_default="")

    objects = VoiceQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = [Lower("name")]
        constraints: ClassVar = [
            models.UniqueConstraint(Lower("name"), "owner", name="voice_name"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def state(self) -> VoiceState:
        """The state. Only available if the voice was queried by `with_waiting`."""
        if self.vector is not None:
            return VoiceState.READY
        is_waiting = getattr(self, "is_waiting", False)
        return VoiceState.LEARNING if is_waiting else VoiceState.FAILED


class VoiceLearning(VoiceRequest):
    """A request to learn a voice from the speakers of a recording who are marked with it. The row
    is deleted when that is done or impossible."""

    transcription = models.ForeignKey(
        Transcription, on_delete=models.CASCADE, related_name="voice_learnings"
    )
    voice = models.ForeignKey(Voice, on_delete=models.CASCADE, related_name="learnings")

    objects = VoiceRequestQuerySet["VoiceLearning"].as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["transcription", "voice"], name="voice_learning"),
        ]

    def __str__(self) -> str:
        return f"{self.transcription_id} {self.voice_id}"

    @property
    def usage_reason(self) -> str:
        """What the ledger says about the usage."""
        return gettext("A voice learned. Not charged.")


class SpeakerReference(models.Model):
    """A sample of the voice of a person who may speak in a recording, sent with the upload. Deleted
    when processing ends."""

    transcription = models.ForeignKey(
        Transcription, on_delete=models.CASCADE, related_name="speaker_references"
    )
    name = models.CharField(max_length=MAX_NAME_CHARS)
    audio = models.BinaryField()  # a prepared WAV of a few seconds

    class Meta:
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return self.name
