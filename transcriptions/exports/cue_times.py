"""When cues start and end, given their words. Imports no Django.

A cue starts with its first word, or one gap after the word before; a little later if the previous
cue needs the time, or if it would last too long. It stays on the screen for its reading time and
`lead_out`, if the next cue leaves room.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from transcriptions.exports.norms import ROUNDING, Limits
from transcriptions.exports.transcript import TimedWord

MAX_DELAY_S = 2 / 24  # of a cue after its first word: two frames of film
FAR = 1 << 50  # frames: when the cue after the last one begins

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CueTimes:
    """Times in frames: of the words, and of a cue that starts with each of them.

    The functions take numbers or arrays of numbers.
    """

    word_starts: Ints
    word_ends: Ints
    starts: Ints
    latest_starts: Ints
    limits: Limits

    @classmethod
    def of(cls, words: list[TimedWord], limits: Limits) -> CueTimes:
        """Words may overlap: a word then counts as spoken after the one before."""
        starts, ends, previous = list[int](), list[int](), 0
        for word in words:
            starts.append(max(math.ceil(word.start * limits.rate - ROUNDING), previous))
            previous = max(math.ceil(word.end * limits.rate - ROUNDING), starts[-1])
            ends.append(previous)
        earliest = np.array([0, *(end + limits.min_gap for end in ends[:-1])])
        cue_starts = np.maximum(np.array(starts) - limits.lead_in, earliest)
        latest = np.array(starts) + math.floor(MAX_DELAY_S * limits.rate + ROUNDING)
        return cls(
            np.array(starts), np.array(ends), cue_starts, np.maximum(cue_starts, latest), limits
        )

    def next_starts(self) -> Ints:
        """The start of a cue that follows each word, without delay."""
        return np.append(self.starts[1:], FAR)

    def end(self, start: Any, last: Any, following: Any, length: Any) -> Any:
        """The end of a cue that starts at `start` and has words of this reading length up to the
        index `last`, if the next one starts at `following`."""
        limits, speech_end = self.limits, self.word_ends[last]
        lead_out = np.clip(following - limits.close_gap - speech_end, 0, limits.lead_out)
        end = np.maximum(speech_end + lead_out, start + self._needed(length))
        latest = following - max(limits.close_gap, limits.min_gap)
        end = np.where(end > latest, following - limits.min_gap, end)
        end = np.minimum(end, start + limits.max_duration)
        return np.asarray(np.maximum(end, speech_end), dtype=np.int64)

    def delay_for(self, start: int, last: int, length: float) -> int | None:
        """The number of frames by which the next cue must start later so that the cue keeps all
        norms of time. None if that is impossible, or would be too late."""
        if last + 1 >= len(self.starts):
            return None
        limits = self.limits
        earliest = max(int(self.word_ends[last]), start + int(self._needed(length)))
        latest = start + limits.max_duration
        following = max(int(self.starts[last + 1]), earliest + limits.min_gap)
        if following > latest + limits.min_gap:  # the gap stays open
            following = max(following, earliest + max(limits.min_gap, limits.close_gap))
        is_possible = earliest <= latest and following <= self.latest_starts[last + 1]
        return following - int(self.starts[last + 1]) if is_possible else None

    def excess(self, first: int, last: int) -> int:
        """The number of frames by which a cue must start late so that it does not last too long; 0
        if none are needed, or too many."""
        start = int(self.starts[first])
        frames = max(0, int(self.word_ends[last]) - start - self.limits.max_duration)
        return frames if start + frames <= self.latest_starts[first] else 0

    def _needed(self, length: Any) -> Any:
        """The shortest duration of a text of this reading length."""
        speed = self.limits.chars_per_frame
        frames = np.ceil(length / speed - ROUNDING) if speed else np.zeros_like(length)
        return np.maximum(frames, self.limits.min_duration).astype(np.int64)
