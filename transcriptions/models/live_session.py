"""Recordings that are being made: speech arrives while it is recognized."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from transcriptions.models.transcription import Transcription


class EndReason(models.TextChoices):
    """Why a session ended."""

    STOPPED = "stopped", _("Stopped")
    IDLE = "idle", _("No audio arrived any more")
    LIMIT = "limit", _("A limit was reached")
    FAILED = "failed", _("Speech recognition failed")
    ADMINISTRATOR = "administrator", _("Ended by an administrator")


class LiveSession(models.Model):
    """The session in which a recording is made, from its first moment on. `received_bytes` is
    updated with every piece of audio: no index contains what changes with it."""

    transcription = models.OneToOneField(
        Transcription, models.CASCADE, primary_key=True, related_name="live"
    )
    media_type = models.CharField(max_length=100)  # of the audio: see transcriptions/raw_audio.py
    # Seconds of silence that end a turn; null: the client says where turns end.
    turn_silence = models.FloatField(null=True)
    received_bytes = models.PositiveBigIntegerField(default=0)
    commits = models.PositiveIntegerField(default=0)  # turns that the client has ended
    received_at = models.DateTimeField(default=timezone.now)
    # When its worker left it, because no audio came: the next piece calls one.
    parked_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=16, choices=EndReason, blank=True)
    end_detail = models.TextField(blank=True)  # why, in a sentence for the owner, if it needs one
    # Whoever knows it can read the captions of this session. Null: they are not shared.
    captions_key = models.CharField(max_length=43, null=True, unique=True, editable=False)  # noqa: DJ001

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["ended_at"], name="open_live", condition=Q(ended_at__isnull=True))
        ]

    def __str__(self) -> str:
        return str(self.transcription_id)


class LivePiece(models.Model):
    """Audio of a session, as it came, or the place at which the client ended a turn. They are
    deleted when all of them are in the file of the recording."""

    session = models.ForeignKey(LiveSession, models.CASCADE, related_name="pieces", db_index=False)
    end = models.PositiveBigIntegerField()  # bytes of the session's audio up to the end of `data`
    data = models.BinaryField()
    commit = models.PositiveIntegerField(null=True)  # its number; then there is no `data`

    class Meta:
        indexes: ClassVar = [models.Index(fields=["session", "id"], name="pieces_of_session")]

    def __str__(self) -> str:
        return f"{self.session_id}: {self.end}"
