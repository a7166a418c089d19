"""Groups speech into windows that a model can decode in one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpu.types import Span

MIN_SILENCE_S = 0.1  # between two spans that makes a good place to cut


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of a recording: its start (seconds), and a function that reads its samples."""

    start: float
    read: Callable[[], np.ndarray[Any, Any]]


def pack(spans: Iterable[Span], max_s: float, first_max_s: float | None = None) -> Iterator[Span]:
    """Joins neighboring spans into windows of up to `max_s` seconds, cut in silence.

    The first window ends after `first_max_s` seconds, if there is a place to cut, so that the first
    words arrive early. Only speech without any pause for longer than a window is cut within speech.
    """
    limit = max_s if first_max_s is None else first_max_s
    current: list[Span] = []
    for span in spans:
        current.append(span)
        while current[-1].end - current[0].start > limit:
            if len(current) > 1:
                cut = _last_silence(current)
                yield Span(current[0].start, current[cut - 1].end)
                current = current[cut:]
            elif current[0].end - current[0].start > max_s:
                yield Span(current[0].start, current[0].start + max_s)
                current[0] = Span(current[0].start + max_s, current[0].end)
            else:
                break
            limit = max_s
    if current:
        yield Span(current[0].start, current[-1].end)


def _last_silence(spans: list[Span]) -> int:
    """The index of the last span that follows a silence; without any, the last index."""
    for index in range(len(spans) - 1, 0, -1):
        if spans[index].start - spans[index - 1].end >= MIN_SILENCE_S:
            return index
    return len(spans) - 1
