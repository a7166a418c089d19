"""The waveform of a recording as it is stored and sent: loudness along the time line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt


@dataclass(frozen=True, slots=True)
class Waveform:
    """Points that divide a recording into equal parts. Each has the RMS and the peak of its part,
    from 0 to 255, which is the highest peak of the recording."""

    rms: bytes = b""
    peaks: bytes = b""

    @classmethod
    def unpack(cls, stored: bytes) -> Waveform:
        """The opposite of `pack`."""
        half = len(stored) // 2
        return cls(stored[:half], stored[half:])

    @classmethod
    def of_peaks(cls, percent: Iterable[int]) -> Waveform:
        """Create from peaks alone, 0 to 100, which are also used as RMS."""
        peaks = bytes(round(value * 2.55) for value in percent)
        return cls(peaks, peaks)

    def pack(self) -> bytes:
        """Encode as one value for the database."""
        return self.rms + self.peaks

    def reduced(self, points: int) -> Waveform:
        """Reduce to at most this many points, each of which combines several."""
        if len(self.peaks) <= points:
            return self
        return Waveform(
            bytes(
                round(sqrt(sum(v * v for v in part) / len(part))) for part in _cut(self.rms, points)
            ),
            bytes(max(part) for part in _cut(self.peaks, points)),
        )


def _cut(values: bytes, count: int) -> Iterator[bytes]:
    """Parts whose lengths differ by one at most. `count` is not larger than the length."""
    edges = (len(values) * part // count for part in range(count + 1))
    return (values[start:end] for start, end in pairwise(edges))
