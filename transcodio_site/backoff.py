"""When to restart a process that keeps stopping."""

from __future__ import annotations

import time

MAX_DELAY_S = 60.0
ESSENTIAL_MAX_DELAY_S = 5.0  # for processes that everything else needs
STABLE_AFTER_S = 30.0  # after this run time earlier failures are forgotten
MANY_FAILURES = 4


class Backoff:
    """The first restart is immediate; the next ones follow after 1, 2, 4, ... seconds."""

    def __init__(self, *, essential: bool = False) -> None:
        self.failures = 0
        self._max_delay_s = ESSENTIAL_MAX_DELAY_S if essential else MAX_DELAY_S
        self._started_at = self._restart_at = time.monotonic()

    def reset(self) -> None:
        """Forget earlier failures."""
        self.failures = 0

    def record_start(self) -> None:
        """Record a start."""
        self._started_at = time.monotonic()

    def record_failure(self) -> None:
        """Record a stop or a failed start."""
        if self.is_stable():
            self.failures = 0
        delay = min(self._max_delay_s, 2.0 ** (self.failures - 1)) if self.failures else 0.0
        self.failures = min(self.failures + 1, 100)  # 2.0 ** 1024 is too large
        self._restart_at = time.monotonic() + delay

    def may_restart(self) -> bool:
        """Whether the delay is over."""
        return time.monotonic() >= self._restart_at

    def keeps_failing(self) -> bool:
        """Whether to report the failures: true after exactly this many failures in a row."""
        return self.failures == MANY_FAILURES

    def is_stable(self) -> bool:
        """Whether it has been running for long enough."""
        return self.seconds_since_start() > STABLE_AFTER_S

    def seconds_since_start(self) -> float:
        """How long it has been running if it has not stopped since."""
        return time.monotonic() - self._started_at
