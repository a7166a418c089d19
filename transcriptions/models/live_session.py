"""Live recordings: speech is recognized while it arrives."""

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
    """The session of a live recording. `received_bytes` is updated with every piece of audio, so no
    index contains columns that change with it."""

    transcription = models.OneToOneField(
        Transcription, models.CASCADE, primary_key=True, related_name="live"
    )
    media_type = models.CharField(max_length=100)  # of the audio: see transcriptions/raw_audio.py
    # Seconds of silence that end a turn; null: the client ends turns.
    turn_silence = models.FloatField(null=True)
    received_bytes = models.PositiveBigIntegerField(default=0)
    # What a worker had recognized when it released the session: the next one begins after it.
    recognized_bytes = models.PositiveBigIntegerField(default=0, db_default=0)
    commits = models.PositiveIntegerField(default=0)  # turns that the client has ended
    # The last of these up to which all audio is recognized. The event that says so may be lost.
    heard_commit = models.PositiveIntegerField(default=0, db_default=0)
    received_at = models.DateTimeField(default=timezone.now)
    # When its worker released it because no audio arrived: the next piece enqueues it again.
    parked_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=16, choices=EndReason, blank=True)
    end_detail = models.TextField(blank=True)  # the reason, as a sentence for the owner, if needed
    # Anyone who knows it can read the captions of this session. Null: they are not shared.
    captions_key = models.CharField(max_length=43, null=True, unique=True, editable=False)  # noqa: DJ001

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["ended_at"], name="open_live", condition=Q(ended_at__isnull=True))
        ]

    def __str__(self) -> str:
        return str(self.transcription_id)


class LivePiece(models.Model):
    """A piece of audio as it arrived, or the position at which the client ended a turn. All pieces
    are deleted when the file of the recording has been written."""

    session = models.ForeignKey(LiveSession, models.CASCADE, related_name="pieces", db_index=False)
    end = models.PositiveBigIntegerField()  # bytes of the session's audio up to the end of `data`
    data = models.BinaryField()
    commit = models.PositiveIntegerField(null=True)  # its number; then there is no `data`

    class Meta:
        indexes: ClassVar = [models.Index(fields=["session", "id"], name="pieces_of_session")]

    def __str__(self) -> str:
        return f"{self.session_id}: {self.end}"
