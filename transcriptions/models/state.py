"""The states of a recording."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class State(models.TextChoices):
    """The processing state of a recording."""

    QUEUED = "queued", _("Waiting")
    PREPROCESSING = "preprocessing", _("Preparing audio")
    PREPARED = "prepared", _("Waiting for speech recognition")
    TRANSCRIBING = "transcribing", _("Transcribing")
    COMPLETED = "completed", _("Completed")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")


class LiveState(models.TextChoices):
    """The state of a live session, which is more detailed than that of its recording."""

    RECORDING = "live", _("Live")
    PAUSED = "paused", _("Live: paused")
    FINISHING = "finishing", _("Live: finishing")


WAITING = (State.QUEUED, State.PREPARED)  # for a worker
WORKING = (State.PREPROCESSING, State.TRANSCRIBING)  # a worker has a lease of the row
FINISHED = (State.COMPLETED, State.FAILED, State.CANCELLED)
UNSUCCESSFUL = (State.FAILED, State.CANCELLED)  # finished without a complete transcript
