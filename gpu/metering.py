"""Saying what was used while it is used, and dividing it among those who used it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from gpu.types import EngineError, EngineEvent, Segment, Spent


def metered(events: Iterable[EngineEvent], used: Callable[[], Spent]) -> Iterator[EngineEvent]:
    """The same events, and before each Segment, and before an error, what was used since the last
    one.

    `used` gives all of it from the beginning until now.
    """
    told = Spent(0.0)
    try:
        for event in events:
            if isinstance(event, Segment):
                now = used()
                yield now.since(told)
                told = now
            yield event
    except EngineError:
        yield used().since(told)
        raise


class Charged(Protocol):
    """Something that device time is charged to."""

    device_seconds: float


class DeviceClock:
    """Divides the time of a device, so that each second is charged once: equally among those who
    use it just now (the codec, the decoder), and the share of each equally among the jobs that it
    works for. Thread-safe."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._now = now  # seconds
        self._since = now()
        self._users: dict[str, Sequence[Charged]] = {}

    def works_for(self, user: str, jobs: Sequence[Charged]) -> None:
        """From now on `user` does; it rests if there are none."""
        with self._lock:
            now = self._now()
            for served in self._users.values():
                for job in served:
                    job.device_seconds += (now - self._since) / len(self._users) / len(served)
            self._since = now
            if jobs:
                self._users[user] = jobs
            else:
                self._users.pop(user, None)
