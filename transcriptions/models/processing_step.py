"""The processing history of a recording: which phase started when.

Rows are added in the transaction that changes the state, and are never changed.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from transcriptions.models.transcription import Transcription


class Phase(models.TextChoices):
    """A phase lasts until the next one starts."""

    UPLOAD = "upload", _("Upload")
    QUEUE = "queue", _("Queue")
    PREPROCESS = "preprocess", _("Preprocess")
    READY = "ready", _("Queue for recognition")
    ENGINE = "engine", _("Wait for the engine")
    DECODE = "decode", _("Decode")
    SPEAKERS = "speakers", _("Detect speakers")  # of a recording that was already complete
    COMPLETED = "completed", _("Completed")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")


FINAL_PHASES = (Phase.COMPLETED, Phase.FAILED, Phase.CANCELLED)


class Step(models.Model):
    """One phase of one recording."""

    transcription = models.ForeignKey(Transcription, models.CASCADE, related_name="steps")
    phase = models.CharField(max_length=12, choices=Phase)
    started_at = models.DateTimeField(default=timezone.now)
    detail = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return f"{self.get_phase_display()} {self.started_at:%H:%M:%S}"


def record_step(
    row: Transcription, phase: Phase, detail: str = "", at: datetime | None = None
) -> None:
    """Add a step that starts now, or started `at`."""
    moment = at or timezone.now()
    Step.objects.create(transcription=row, phase=phase, detail=detail[:200], started_at=moment)
