"""The history of a recording: what began when, for the operator who asks where the time went.

Rows are added in the transaction that changes the state, and never changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from django.db import models
from django.utils import timezone

if TYPE_CHECKING:
    from transcriptions.models import Transcription


class Phase(models.TextChoices):
    """What a recording is in, from one moment to the next one that is written down."""

    UPLOAD = "upload", "Upload"
    QUEUE = "queue", "Queue"
    PREPROCESS = "preprocess", "Preprocess"
    READY = "ready", "Queue for recognition"
    ENGINE = "engine", "Wait for the engine"
    DECODE = "decode", "Decode"
    COMPLETED = "completed", "Completed"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


ENDS = (Phase.COMPLETED, Phase.FAILED, Phase.CANCELLED)


class Step(models.Model):
    """A phase that has begun; it lasts until the next one."""

    transcription = models.ForeignKey(
        "transcriptions.Transcription", models.CASCADE, related_name="steps"
    )
    phase = models.CharField(max_length=12, choices=Phase)
    began_at = models.DateTimeField(default=timezone.now)
    detail = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return f"{self.get_phase_display()} {self.began_at:%H:%M:%S}"


def began(row: Transcription, phase: Phase, detail: str = "", at: datetime | None = None) -> None:
    """Writes it down."""
    moment = at or timezone.now()
    Step.objects.create(transcription=row, phase=phase, detail=detail[:200], began_at=moment)


@dataclass(frozen=True, slots=True)
class Bar:
    """A step as it is drawn: where it begins and how long it is, in percent of the whole."""

    step: Step
    seconds: float | None  # None: an end, which takes no time
    left: float
    width: float


def timeline(row: Transcription) -> list[Bar]:
    """All steps with what each of them took; one that still goes on lasts until now."""
    steps = list(row.steps.all())
    if not steps:
        return []
    first, last = steps[0].began_at, steps[-1]
    until = last.began_at if last.phase in ENDS else timezone.now()
    whole = max((until - first).total_seconds(), 1e-6)
    bars = []
    for step, end in zip(steps, [*(s.began_at for s in steps[1:]), until], strict=True):
        ended = step.phase in ENDS  # although it may be tried again a day later
        took = 0.0 if ended else max(0.0, (end - step.began_at).total_seconds())
        left = 100 * (step.began_at - first).total_seconds() / whole
        width = round(100 * took / whole, 3)
        bars.append(Bar(step, None if ended else took, round(left, 3), width))
    return bars
