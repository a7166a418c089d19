"""What a backup does not contain: workers, and prepared audio."""

from __future__ import annotations

from transcriptions.models import FINISHED, Phase, Progress, State, Transcription, record_step
from transcriptions.processing.lifecycle import NO_LEASE


def requeue_unfinished() -> int:
    """Let all unfinished recordings start again from their upload. Stored segments are kept. Return
    how many there are.

    Not all of these transitions are legal: the trigger that checks them must be disabled.
    """
    rows = Transcription.objects.exclude(state__in=[*FINISHED, State.QUEUED])
    unfinished = list(rows)
    Progress.objects.filter(transcription__in=unfinished).update(lease_until=None)
    rows.update(state=State.QUEUED, audio="", **NO_LEASE)
    for row in unfinished:
        record_step(row, Phase.QUEUE, "Restored from a backup")
    return len(unfinished)
