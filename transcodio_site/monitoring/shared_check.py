"""Slow functions with many callers: one run serves them all, and none waits for long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

Value = TypeVar("Value")

RETRIED_AFTER_S = 10.0  # at most, if the function has raised an error
ABANDONED_AFTER_S = 60.0  # a run that hangs for this long is replaced: what it waits for is gone


class Run(Generic[Value]):
    """One call of the function, in a thread of its own."""

    def __init__(self, function: Callable[[], Value]) -> None:
        self._function = function
        self._future = Future[Value]()
        self._began_at = time.monotonic()
        threading.Thread(target=self._call, daemon=True, name="check").start()

    def _call(self) -> None:
        try:
            self._future.set_result(self._function())
        except BaseException as error:
            self._future.set_exception(error)

    def result(self, timeout_s: float) -> Value:
        """What the function returned. Raises its error, or TimeoutError `timeout_s` after the run
        began."""
        remaining = self._began_at + timeout_s - time.monotonic()
        try:
            return self._future.result(max(0.0, remaining))
        except TimeoutError:
            if self._future.done():  # the function itself has raised it
                raise
            raise TimeoutError(f"no answer for {self.age:.0f} s") from None

    @property
    def is_done(self) -> bool:
        """Whether the function has returned or raised."""
        return self._future.done()

    @property
    def has_failed(self) -> bool:
        """Whether the function has raised an error."""
        return self.is_done and self._future.exception() is not None

    @property
    def age(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._began_at


class SharedCheck(Generic[Value]):
    """At most one run at a time, whose result is used again until it is `max_age_s` old.

    So many requests cause few runs, and a function that hangs occupies one thread.
    """

    def __init__(self, function: Callable[[], Value], max_age_s: float) -> None:
        self._function, self._max_age_s = function, max_age_s
        self._lock = threading.Lock()
        self._latest: Run[Value] | None = None

    def start(self) -> Run[Value]:
        """The run that began recently or is still in progress, or else a new one."""
        with self._lock:
            if self._latest is None or self._latest.age > self._lifetime(self._latest):
                self._latest = Run(self._function)
            return self._latest

    def _lifetime(self, run: Run[Value]) -> float:
        """Seconds until another run begins."""
        if not run.is_done:
            return ABANDONED_AFTER_S
        return min(self._max_age_s, RETRIED_AFTER_S) if run.has_failed else self._max_age_s
