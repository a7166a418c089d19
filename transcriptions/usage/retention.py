"""How long recordings are kept: the owner's choice, limited by the plan."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from accounts.models import User
from transcriptions.models import Transcription

FOREVER_DAYS = (
    36_500  # this many days or more mean forever; much larger values would overflow dates
)


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """Days after the upload until deletion; None: never."""

    audio: int | None
    everything: int | None

    @classmethod
    def of(cls, user: User) -> RetentionPolicy:
        """The shorter of the user's setting and the plan's limit."""
        everything = _shorter(user.keep_days, user.effective_plan.max_keep_days)
        return cls(_shorter(user.keep_audio_days, everything), everything)

    def audio_until(self, row: Transcription) -> datetime | None:
        """When the audio of a recording will be deleted."""
        return _after(row, self.audio)

    def until(self, row: Transcription) -> datetime | None:
        """When the whole recording will be deleted."""
        return _after(row, self.everything)


def _shorter(*days: int | None) -> int | None:
    return min((day for day in days if day is not None and day < FOREVER_DAYS), default=None)


def _after(row: Transcription, days: int | None) -> datetime | None:
    return None if days is None else row.created_at + timedelta(days=days)
