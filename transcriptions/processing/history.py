"""The timeline of a recording: how long each phase took, for operators."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils import timezone

from transcriptions.models import FINAL_PHASES, Step, Transcription


@dataclass(frozen=True, slots=True)
class Bar:
    """A step in the chart: position and width in percent of the whole timeline."""

    step: Step
    seconds: float | None  # None: a final phase, which takes no time
    left: float
    width: float


def timeline(row: Transcription) -> list[Bar]:
    """All steps with their durations; a running step lasts so far."""
    steps = list(row.steps.all())
    if not steps:
        return []
    first, last = steps[0].started_at, steps[-1]
    until = last.started_at if last.phase in FINAL_PHASES else timezone.now()
    total = max((until - first).total_seconds(), 1e-6)
    bars = []
    for step, end in zip(steps, [*(s.started_at for s in steps[1:]), until], strict=True):
        is_final = step.phase in FINAL_PHASES  # takes no time, even if it is resumed a day later
        seconds = 0.0 if is_final else max(0.0, (end - step.started_at).total_seconds())
        left = 100 * (step.started_at - first).total_seconds() / total
        width = round(100 * seconds / total, 3)
        bars.append(Bar(step, None if is_final else seconds, round(left, 3), width))
    return bars
