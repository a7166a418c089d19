"""Saying what was used while it is used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from gpu.types import EngineEvent, Segment, Spent


def metered(events: Iterable[EngineEvent], used: Callable[[], Spent]) -> Iterator[EngineEvent]:
    """The same events, and before each Segment what was used since the last one.

    `used` gives all of it from the beginning until now.
    """
    told = Spent(0.0)
    for event in events:
        if isinstance(event, Segment):
            now = used()
            yield now.since(told)
            told = now
        yield event
