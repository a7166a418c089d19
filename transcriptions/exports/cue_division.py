"""The division of words into cues with the lowest cost. Imports no Django."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from transcriptions.exports.cue_times import FAR, CueTimes, Ints
from transcriptions.exports.norms import Limits

VIOLATION = 1e6  # a violated norm
EXCESS = 1e3  # of a violation, relative to the norm, at most MAX_EXCESS
MAX_EXCESS = 10.0
LATE = 1.0  # a cue that starts late
NEVER = 1e12  # does not fit

Floats = npt.NDArray[np.float64]


class _Prefix(NamedTuple):
    """The cues of all words before the first word of the next cue. Ordered by violations, then by
    delay, then by cost."""

    violations: int
    delay: int  # of the next cue, in frames
    cost: float
    first: int  # first word of the last of these cues
    own_delay: int  # of that cue


def cheapest(
    costs: Floats, last: Ints, lengths: Floats, times: CueTimes
) -> Iterator[tuple[int, int, int, int]]:
    """The first and the last word of each cue, and its start and end in frames.

    The arrays have a row for each first word and a column for each number of words: the cost of a
    candidate apart from its times, the index of its last word, and its reading length.
    """
    starts, following = times.starts[:, None], times.next_starts()[last]
    ends = times.end(starts, last, following, lengths)
    timed = costs + _time_costs(starts, ends, following, lengths, times.limits)
    division = _Division(costs, timed, lengths, times)
    division.run()
    return division.cues()


def _time_costs(start: Any, end: Any, following: Any, length: Any, limits: Limits) -> Any:
    """The cost of the norms of time that a cue violates. Takes numbers or arrays of numbers."""
    duration = end - start
    count = limits.violations(length, duration, following - end)
    frames = np.maximum(duration, 1)
    excess = np.maximum(limits.min_duration / frames - 1, 0) + np.maximum(
        duration / limits.max_duration - 1, 0
    )
    if limits.chars_per_frame:
        excess += np.maximum(length / (frames * limits.chars_per_frame) - 1, 0)
    excess = np.where(count > 0, np.minimum(excess, MAX_EXCESS), 0)
    return np.asarray(VIOLATION * count + EXCESS * excess)


@dataclass(slots=True)
class _Division:
    """A dynamic program. Before each word, it knows the cheapest cues if the next one starts when
    it is due. Where a norm would be violated, it also considers cues after which the next one
    starts late: because they need the time, or because the next one would last too long."""

    costs: Floats  # of candidates, apart from their times
    timed: Floats  # with their times, if they and the next cue start when they are due
    lengths: Floats
    times: CueTimes
    totals: Floats = field(init=False)
    due: list[tuple[int, int]] = field(init=False)  # first word of the last cue, and its delay
    late: dict[int, dict[int, _Prefix]] = field(default_factory=dict)  # by word and delay

    def run(self) -> None:
        count, columns = self.timed.shape
        self.totals, self.due = np.zeros(count + 1), [(0, 0)] * (count + 1)
        rows = np.arange(count)[:, None] - np.arange(columns)
        by_last = np.where(rows >= 0, self.timed[np.maximum(rows, 0), np.arange(columns)], NEVER)
        for last in range(count):
            width = min(columns, last + 1)
            totals = self.totals[last + 1 - width : last + 1][::-1] + by_last[last, :width]
            best = int(totals.argmin())
            self.totals[last + 1], self.due[last + 1] = totals[best], (last - best, 0)
            starts_late = any(last - column in self.late for column in range(width))
            if starts_late or by_last[last, best] >= VIOLATION:
                self._consider_delays(last)

    def _candidates(self, last: int) -> Iterator[int]:
        """The first words of cues that end with the word `last`."""
        for first in range(max(0, last + 1 - self.costs.shape[1]), last + 1):
            if self.costs[first, last - first] < NEVER:
                yield first

    def _consider_delays(self, last: int) -> None:
        """Cues up to `last` that start late, or after which the next one does."""
        found = list[_Prefix]()
        for first in self._candidates(last):
            found += self._with_late_next(first, last, self.totals[first], 0)
            too_long = self.times.excess(first, last)
            if too_long and too_long not in self.late.get(first, {}):
                self._add_late(self._before_late(first, too_long), first)
            for before in self.late.get(first, {}).values():
                self._with_late_start(first, last, before)
                found += self._with_late_next(first, last, before.cost, before.delay)
        best = min(found, default=None)
        if best and best.violations < self.totals[last + 1] // VIOLATION:
            self._add_late(best, last + 1)

    def _add_late(self, prefix: _Prefix | None, following: int) -> None:
        known = self.late.setdefault(following, {})
        if prefix and prefix < known.get(prefix.delay, (NEVER,)):
            known[prefix.delay] = prefix

    def _before_late(self, first: int, delay: int) -> _Prefix | None:
        """The best cues before one that starts with this delay for its own sake."""
        following = int(self.times.starts[first]) + delay
        found = [
            _Prefix(int(cost // VIOLATION), delay, cost, start, 0)
            for start in self._candidates(first - 1)
            for cost in [
                float(self.totals[start]) + self._cost(start, first - 1, 0, following) + LATE
            ]
        ]
        return min(found, default=_Prefix(0, delay, LATE, 0, 0) if first == 0 else None)

    def _with_late_next(self, first: int, last: int, cost: float, delay: int) -> Iterator[_Prefix]:
        start, length = int(self.times.starts[first]) + delay, self.lengths[first, last - first]
        if needed := self.times.delay_for(start, last, length):
            total = float(cost + self.costs[first, last - first]) + LATE
            yield _Prefix(int(total // VIOLATION), needed, total, first, delay)

    def _with_late_start(self, first: int, last: int, before: _Prefix) -> None:
        following = int(self.times.next_starts()[last])
        cost = before.cost + self._cost(first, last, before.delay, following)
        if cost < self.totals[last + 1]:
            self.totals[last + 1], self.due[last + 1] = cost, (first, before.delay)

    def _cost(self, first: int, last: int, delay: int, following: int) -> float:
        """The cost of a cue that starts with this delay, if the next one starts at `following`."""
        start, length = int(self.times.starts[first]) + delay, self.lengths[first, last - first]
        end = self.times.end(start, last, following, length)
        timed = _time_costs(start, end, following, length, self.times.limits)
        return float(self.costs[first, last - first] + timed)

    def cues(self) -> Iterator[tuple[int, int, int, int]]:
        """First and last word, start and end in frames."""
        found, following = list[tuple[int, int, int, int]](), FAR
        last, next_delay = len(self.due) - 2, 0
        while last >= 0:
            if next_delay:
                prefix = self.late[last + 1][next_delay]
                first, next_delay = prefix.first, prefix.own_delay
            else:
                first, next_delay = self.due[last + 1]
            start = int(self.times.starts[first]) + next_delay
            end = self.times.end(start, last, following, self.lengths[first, last - first])
            found.append((first, last, start, int(end)))
            last, following = first - 1, start
        return reversed(found)
