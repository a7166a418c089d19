"""Measures usage while it happens, and divides device time among the jobs that share a device."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from gpu.types import EngineError, Segment, UsageDelta

Event = TypeVar("Event")


def with_usage(
    events: Iterable[Event], total: Callable[[], UsageDelta]
) -> Iterator[Event | UsageDelta]:
    """The same events, with a UsageDelta before each Segment and before an EngineError.

    `total` returns the usage since the beginning.
    """
    reported = UsageDelta(0.0)
    try:
        for event in events:
            if isinstance(event, Segment):
                current = total()
                yield current - reported
                reported = current
            yield event
    except EngineError:
        yield total() - reported
        raise


class Chargeable(Protocol):
    """An object to which device time is charged."""

    device_seconds: float


class DeviceClock:
    """Divides the time of a device so that each second is charged once. Thread-safe.

    A second is divided equally among the users of the device at that moment (codec and decoder),
    and the share of each user equally among the jobs that it works for.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._now = now  # seconds
        self._last_change = now()
        self._users: dict[str, Sequence[Chargeable]] = {}

    def set_jobs(self, user: str, jobs: Sequence[Chargeable]) -> None:
        """From now on `user` works for `jobs`; without jobs it is idle."""
        with self._lock:
            now = self._now()
            for served in self._users.values():
                for job in served:
                    share = (now - self._last_change) / len(self._users) / len(served)
                    job.device_seconds += share
            self._last_change = now
            if jobs:
                self._users[user] = jobs
            else:
                self._users.pop(user, None)
