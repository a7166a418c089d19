"""What the models of requests about voices have in common."""

from __future__ import annotations

from typing import Self, TypeVar

from django.db import models
from django.utils import timezone

from transcriptions.models.transcription import Transcription, live_lease_ends

R = TypeVar("R", bound="VoiceRequest")


class VoiceRequestQuerySet(models.QuerySet[R]):
    """Queries of requests."""

    def waiting(self) -> Self:
        """Requests without a result, including those that a worker has."""
        return self.all()

    def due(self) -> Self:
        """Requests that wait for a worker, or whose worker has died or hangs."""
        return self.waiting().exclude(lease_until__range=live_lease_ends())


class VoiceRequest(models.Model):
    """A request of an owner to listen to the voices of a completed recording. How workers do it is
    in processing/voice_requests.py."""

    transcription: models.ForeignKey[Transcription, Transcription]  # of the subclass
    created_at = models.DateTimeField(default=timezone.now)
    lease_until = models.DateTimeField(null=True)  # null: no worker has it
    attempts = models.PositiveSmallIntegerField(default=0)  # attempts that have begun
    decode_seconds = models.FloatField(default=0.0, db_default=0.0)  # of CPU, not in the ledger

    class Meta:
        abstract = True

    @property
    def usage_reason(self) -> str:
        """What the ledger says about the usage."""
        raise NotImplementedError
