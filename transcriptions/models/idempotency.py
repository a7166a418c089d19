"""Idempotency keys of uploads."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from transcriptions.models.transcription import Transcription

IDEMPOTENCY_KEY_LIFETIME = timedelta(hours=24)


class IdempotencyKey(models.Model):
    """A request that creates one recording, however often it is sent."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)  # SHA-256 of the request
    # Null after the recording was deleted: the same key must not create it again.
    transcription = models.ForeignKey(Transcription, null=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["owner", "key"], name="idempotency_key"),
        ]

    def __str__(self) -> str:
        return self.key
