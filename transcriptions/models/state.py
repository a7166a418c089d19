"""The states of a recording."""

from __future__ import annotations

from django.db import models


class State(models.TextChoices):
    """Where a recording is in its processing."""

    QUEUED = "queued", "Waiting"
    PREPROCESSING = "preprocessing", "Preparing audio"
    PREPARED = "prepared", "Waiting for speech recognition"
    TRANSCRIBING = "transcribing", "Transcribing"
    COMPLETED = "completed", "Completed"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


FINISHED = (State.COMPLETED, State.FAILED, State.CANCELLED)
UNSUCCESSFUL = (State.FAILED, State.CANCELLED)  # finished without a complete transcript
