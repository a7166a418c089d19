"""How long recognition will take."""

from __future__ import annotations

from accounts.models import Outcome, UsageRecord
from transcriptions import durations
from transcriptions.models import Transcription

ATTEMPTS = 20  # the latest ones of all accounts, which show how fast the engine is
ROUND_TO_S = 10


def estimate(row: Transcription) -> str:
    """How long the speech recognition of a recording takes, as text: `2 min`. Empty if the duration
    or the speed is unknown."""
    if row.is_finished or not row.duration:
        return ""
    attempts = UsageRecord.objects.filter(outcome=Outcome.COMPLETED)
    times = attempts.values_list("decode_ms", "audio_ms")[:ATTEMPTS]
    decoded, audio = (sum(column) for column in zip((0, 0), *times, strict=True))
    return _rounded(row.duration * decoded / audio) if audio else ""


def _rounded(seconds: float) -> str:
    unit = 60 if seconds > 120 else ROUND_TO_S
    return durations.units(max(1, round(seconds / unit)) * unit)
