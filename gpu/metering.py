"""Saying what was used while it is used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from gpu.types import EngineEvent, Segment, Spent


def metered(events: Iterable[EngineEvent], used: Callable[[], float]) -> Iterator[EngineEvent]:
    """The same events, and before each Segment what was used since the last one.

    `used` gives the decoding seconds from the beginning until now.
    """
    told = 0.0
    for event in events:
        if isinstance(event, Segment):
            now = used()
            yield Spent(now - told)
            told = now
        yield event
