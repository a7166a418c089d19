"""The diarization error rate, as NIST defines it, and references in RTTM."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

FRAMES_PER_SECOND = 100

Stretch = tuple[float, float, str]  # start and end in seconds, and who speaks


@dataclass(frozen=True, slots=True)
class ErrorRate:
    """Shares of the speech time, in which time with two speakers counts twice."""

    missed: float
    false_alarm: float
    confused: float

    @property
    def total(self) -> float:
        """The diarization error rate."""
        return self.missed + self.false_alarm + self.confused


def read_rttm(path: Path) -> list[Stretch]:
    """The lines of type SPEAKER."""
    fields = [line.split() for line in path.read_text().splitlines()]
    spoken = [f for f in fields if f and f[0] == "SPEAKER"]
    return [(float(f[3]), float(f[3]) + float(f[4]), f[7]) for f in spoken]


def error_rate(
    reference: Sequence[Stretch], found: Sequence[Stretch], collar: float = 0.0
) -> ErrorRate:
    """The error rate with the best assignment of detected speakers to those of the reference. Time
    within `collar` seconds of a start or an end in the reference does not count."""
    duration = max((end for _, end, _ in [*reference, *found]), default=0.0)
    counted = np.ones(round(duration * FRAMES_PER_SECOND) + 1, bool)
    for edge in (edge for start, end, _ in reference for edge in (start, end)) if collar else ():
        counted[max(0, _frame(edge - collar)) : _frame(edge + collar)] = False
    expected = _activity(reference, counted)
    actual = _activity(found, counted)
    count, count_found = expected.sum(axis=0), actual.sum(axis=0)
    spoken = max(1, int(count.sum()))
    both = expected.astype(int) @ actual.T.astype(int)
    confused = int(np.minimum(count, count_found).sum()) - _best_assignment(both)
    return ErrorRate(
        float(np.maximum(count - count_found, 0).sum()) / spoken,
        float(np.maximum(count_found - count, 0).sum()) / spoken,
        confused / spoken,
    )


def overlap_rates(
    reference: Sequence[Stretch], found: Sequence[Stretch]
) -> tuple[float | None, float | None]:
    """Precision and recall of the time in which several people speak; None for an empty
    denominator."""
    duration = max((end for _, end, _ in [*reference, *found]), default=0.0)
    counted = np.ones(round(duration * FRAMES_PER_SECOND) + 1, bool)
    expected, actual = (
        _activity(stretches, counted).sum(axis=0) > 1 for stretches in (reference, found)
    )
    right = int((expected & actual).sum())
    shares = (right / int(each.sum()) if each.any() else None for each in (actual, expected))
    return next(shares), next(shares)


def speakers(stretches: Iterable[Stretch]) -> int:
    """The number of speakers."""
    return len({name for _, _, name in stretches})


def _frame(seconds: float) -> int:
    return round(seconds * FRAMES_PER_SECOND)


def _activity(stretches: Sequence[Stretch], counted: Any) -> Any:
    """Who speaks in which frame [speakers, frames], for the frames that count."""
    names = sorted({name for _, _, name in stretches})
    active = np.zeros((len(names), len(counted)), bool)
    for start, end, name in stretches:
        active[names.index(name), _frame(start) : _frame(end)] = True
    return active[:, counted]


def _best_assignment(both: Any) -> int:
    """The most frames that pairs of one row and one column have in common."""
    table = both if both.shape[0] <= both.shape[1] else both.T

    @cache
    def best(column: int, rows_left: int) -> int:
        if column == table.shape[1]:
            return 0
        options = [best(column + 1, rows_left)]
        for row in range(table.shape[0]):
            if rows_left >> row & 1:
                rest = best(column + 1, rows_left & ~(1 << row))
                options.append(int(table[row, column]) + rest)
        return max(options)

    return best(0, (1 << table.shape[0]) - 1)
