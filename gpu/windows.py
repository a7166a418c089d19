"""Speech into windows that a model can hear in one go."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpu.types import Span

SILENCE = 0.1  # seconds between two spans that make a good place to cut


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of a recording: where it starts (seconds), and how its samples are read."""

    start: float
    read: Callable[[], np.ndarray[Any, Any]]


def pack(spans: Iterable[Span], longest: float, first: float | None = None) -> Iterator[Span]:
    """Joins neighbouring speech into windows of up to `longest` seconds, cut in silence.

    The first window ends after `first` seconds if there is a place to cut, so that its words come
    early. Only speech that goes on without any pause for longer than a window is cut in its midst.
    """
    limit = longest if first is None else first
    held: list[Span] = []
    for span in spans:
        held.append(span)
        while held[-1].end - held[0].start > limit:
            if len(held) > 1:
                cut = _last_silence(held)
                yield Span(held[0].start, held[cut - 1].end)
                held = held[cut:]
            elif held[0].end - held[0].start > longest:
                yield Span(held[0].start, held[0].start + longest)
                held[0] = Span(held[0].start + longest, held[0].end)
            else:
                break
            limit = longest
    if held:
        yield Span(held[0].start, held[-1].end)


def _last_silence(spans: list[Span]) -> int:
    """The index of the last span that follows a pause; without one, the last index."""
    for index in range(len(spans) - 1, 0, -1):
        if spans[index].start - spans[index - 1].end >= SILENCE:
            return index
    return len(spans) - 1
