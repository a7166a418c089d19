"""The timeline of a recording, for operators who ask where the time went."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils import timezone

from transcriptions.models import FINAL_PHASES, Step, Transcription


@dataclass(frozen=True, slots=True)
class Bar:
    """A step as it is drawn: position and width in percent of the whole timeline."""

    step: Step
    seconds: float | None  # None: a final phase, which takes no time
    left: float
    width: float


def timeline(row: Transcription) -> list[Bar]:
    """All steps with their durations; a running step lasts until now."""
    steps = list(row.steps.all())
    if not steps:
        return []
    first, last = steps[0].began_at, steps[-1]
    until = last.began_at if last.phase in FINAL_PHASES else timezone.now()
    whole = max((until - first).total_seconds(), 1e-6)
    bars = []
    for step, end in zip(steps, [*(s.began_at for s in steps[1:]), until], strict=True):
        ended = step.phase in FINAL_PHASES  # although it may be resumed a day later
        took = 0.0 if ended else max(0.0, (end - step.began_at).total_seconds())
        left = 100 * (step.began_at - first).total_seconds() / whole
        width = round(100 * took / whole, 3)
        bars.append(Bar(step, None if ended else took, round(left, 3), width))
    return bars
