"""One process of the stack, which is restarted when it stops."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from django.conf import settings

from transcodio_site.backoff import MANY_FAILURES, Backoff
from transcodio_site.monitoring.processes import report_stop

READ_TIMEOUT_S = 1.0
PR_SET_PDEATHSIG = 1


@dataclass
class Child:
    """One process and how often it has stopped."""

    name: str
    command: list[str]
    process: subprocess.Popen[bytes] | None = None
    backoff: Backoff = field(default_factory=Backoff)
    environment: dict[str, str] = field(default_factory=dict)  # in addition to that of the stack
    last_line: str = ""  # of its error output
    reader: threading.Thread | None = None

    def start(self, env: dict[str, str]) -> None:
        """Start the process in a new session: Ctrl-C must reach only the supervisor.

        Raises OSError.
        """
        self.backoff.record_start()
        self.last_line = ""
        self.process = subprocess.Popen(
            self.command,
            cwd=settings.BASE_DIR,
            env=env | self.environment,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=_die_with_parent(),
        )
        self.reader = threading.Thread(target=self._forward_stderr, daemon=True)
        self.reader.start()

    def keep_running(self, env: dict[str, str]) -> str:
        """Restart the process if it has stopped. Return a message for the operator, or an empty
        string."""
        if self.has_exited():
            cause = self.exit_reason()
            self.process = None
            return self._failed(cause)
        if self.process:
            return self._is_running_again()
        if self.backoff.may_restart():
            try:
                self.start(env)
            except OSError as error:
                return self._failed(str(error.strerror))
        return ""

    def has_exited(self) -> bool:
        """Whether the process was started and has exited."""
        return self.process is not None and self.process.poll() is not None

    def exit_reason(self) -> str:
        """The last line that it printed to standard error: in a traceback, the exception."""
        if self.reader:
            self.reader.join(READ_TIMEOUT_S)  # a grandchild may hold the pipe open
        return self.last_line or "it printed nothing"

    def _failed(self, cause: str) -> str:
        self.backoff.record_failure()
        # In a thread: the supervisor must not wait for Valkey, which it watches.
        threading.Thread(target=report_stop, args=(self.name, cause), daemon=True).start()
        if self.backoff.keeps_failing():
            return (
                f"The {self.name} process keeps stopping: {cause}. "
                "It is restarted at growing intervals."
            )
        if self.backoff.failures < MANY_FAILURES:
            return f"The {self.name} process stopped. Restarting it."
        return ""

    def _is_running_again(self) -> str:
        was_reported = self.backoff.failures >= MANY_FAILURES
        if self.backoff.failures and self.backoff.is_stable():
            self.backoff.reset()
            return f"The {self.name} process is running again." if was_reported else ""
        return ""

    def _forward_stderr(self) -> None:
        assert self.process  # noqa: S101 - for mypy
        for line in self.process.stderr or ():
            self.last_line = line.decode(errors="replace").strip() or self.last_line
            # Standard error may be closed: keep reading, or the child would block.
            with suppress(OSError):
                os.write(2, line)


def _die_with_parent() -> Callable[[], None] | None:
    """On Linux, send SIGTERM to the child when the supervisor exits, even if it was killed."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
