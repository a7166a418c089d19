"""Measures cues by the norms of a profile. Imports no Django."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise, zip_longest
from typing import Any

from gpu.joining import separator
from transcriptions.exports.cues import Cue
from transcriptions.exports.profiles import Profile
from transcriptions.exports.widths import line_width, reading_length

MILLISECONDS = 1000.0  # the rate if there is no frame rate
ROUNDING = 1e-6  # of floating point numbers


class Norm(StrEnum):
    """The norms that a cue can violate."""

    LINES = "lines"
    LINE_LENGTH = "line_length"
    READING_SPEED = "reading_speed"
    MIN_DURATION = "min_duration"
    MAX_DURATION = "max_duration"
    GAP = "gap"


@dataclass(frozen=True, slots=True)
class Violation:
    """A norm that a cue violates: the value of the cue, and the limit of the profile."""

    norm: Norm
    value: float
    limit: float


@dataclass(frozen=True, slots=True)
class Limits:
    """The times of a profile in frames, rounded so that they hold in seconds."""

    rate: float
    min_duration: int
    max_duration: int
    min_gap: int
    close_gap: int
    lead_in: int
    lead_out: int
    chars_per_frame: float  # 0: no limit

    @classmethod
    def of(cls, profile: Profile, rate: float) -> Limits:
        """Create for `rate` frames per second."""
        return cls(
            rate,
            max(_up(profile.min_duration * rate), 1),
            max(math.floor(profile.max_duration * rate + ROUNDING), 1),
            _up(profile.min_gap * rate),
            _up(profile.close_gap * rate),
            math.floor(profile.lead_in * rate + ROUNDING),
            math.floor(profile.lead_out * rate + ROUNDING),
            profile.max_chars_per_second / rate,
        )

    # The three functions below take numbers or arrays of numbers.

    def is_too_fast(self, length: Any, duration: Any) -> Any:
        """Whether a text of this reading length cannot be read in `duration` frames."""
        return (length > self.chars_per_frame * duration + ROUNDING) & (self.chars_per_frame > 0)

    def is_open_gap(self, gap: Any) -> Any:
        """Whether a gap is too short, or too short to stay open."""
        return (gap < self.min_gap) | ((gap > self.min_gap) & (gap < self.close_gap))

    def violations(self, length: Any, duration: Any, gap: Any) -> Any:
        """The number of norms of time that a cue violates."""
        too_short, too_long = duration < self.min_duration, duration > self.max_duration
        return (
            (too_short * 1)
            + (too_long * 1)
            + (self.is_too_fast(length, duration) * 1)
            + (self.is_open_gap(gap) * 1)
        )


def violations(
    cues: Sequence[Cue], profile: Profile, *, language: str = "", frame_rate: float = MILLISECONDS
) -> list[list[Violation]]:
    """The violations of each cue; empty for a cue that keeps all norms. The gap is the one after
    the cue."""
    limits = Limits.of(profile, frame_rate)
    return [
        [*_lines(cue, profile), *_times(cue, following, profile, limits, language)]
        for cue, following in zip_longest(cues, cues[1:])
    ]


def _lines(cue: Cue, profile: Profile) -> Iterator[Violation]:
    if len(cue.lines) > profile.max_lines:
        yield Violation(Norm.LINES, len(cue.lines), profile.max_lines)
    width = max(line_width(line.text) for line in cue.lines)
    if width > profile.max_line_chars + ROUNDING:
        yield Violation(Norm.LINE_LENGTH, round(width, 2), profile.max_line_chars)


def _times(
    cue: Cue, following: Cue | None, profile: Profile, limits: Limits, language: str
) -> Iterator[Violation]:
    start, end = round(cue.start * limits.rate), round(cue.end * limits.rate)
    seconds = round((end - start) / limits.rate, 3)
    length = reading_length(shown_text(cue), language)
    if end - start < limits.min_duration:
        yield Violation(Norm.MIN_DURATION, seconds, round(profile.min_duration, 3))
    if end - start > limits.max_duration:
        yield Violation(Norm.MAX_DURATION, seconds, profile.max_duration)
    if limits.is_too_fast(length, end - start):
        speed = length / max(seconds, 1 / limits.rate)
        yield Violation(Norm.READING_SPEED, round(speed, 1), profile.max_chars_per_second)
    if following and limits.is_open_gap(gap := round(following.start * limits.rate) - end):
        yield Violation(Norm.GAP, round(gap / limits.rate, 3), round(profile.min_gap, 3))


def shown_text(cue: Cue) -> str:
    """The text of a cue on one line, as it is read."""
    parts = [cue.lines[0].text]
    for before, line in pairwise(cue.lines):
        last, first = before.words[-1], line.words[0]
        parts += ["" if first.no_space_before else separator(last.text, first.text), line.text]
    return "".join(parts)


def _up(frames: float) -> int:
    return math.ceil(frames - ROUNDING)
