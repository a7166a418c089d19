"""Keeping an embedded server running: it is restarted when it dies or hangs."""

from __future__ import annotations

import psutil

from transcodio_site.backoff import MANY_FAILURES, Backoff
from transcodio_site.embedded.folders import EmbeddedError
from transcodio_site.embedded.server import STARTUP_TIMEOUT_S, Response, Server
from transcodio_site.files import exclusive_lock

# Probes are counted and no time is measured: after a machine was suspended, or a container paused,
# the servers still have time to answer.
MAX_UNANSWERED = 6


class ServerWatch:
    """Watches one server that other processes use too."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.backoff = Backoff(essential=True)
        self._unanswered = 0  # probes in a row
        self._is_down = False

    def check(self) -> str:
        """Restart the server if it died or hangs. Return a message for the operator, or an empty
        string."""
        response = self.server.probe()
        if response is not Response.NONE:
            self._unanswered, self._is_down = 0, False
            if response is Response.READY and self.server.process:
                self.server.note_ready()
            return self._is_running_again()
        try:
            with exclusive_lock(self.server.var / "run" / "start.lock", wait=False):
                line = self._kill_if_hanging() if self.server.is_alive() else self._record_death()
                return "\n".join(filter(None, (line, self._restart_if_down())))
        except BlockingIOError:  # another command is starting it
            return ""
        except OSError as error:
            return self._failed(error)

    def _kill_if_hanging(self) -> str:
        if self._is_starting():
            return ""
        self._unanswered += 1
        if self._unanswered < MAX_UNANSWERED:
            return ""
        try:
            self.server.kill()
        except EmbeddedError as error:
            return self._failed(error)
        self._is_down = True
        return f"{self.server.name} did not respond. Restarting it."

    def _is_starting(self) -> bool:
        """Whether it was restarted a moment ago and has not been ready since."""
        is_launched = self.server.process is not None
        return is_launched and self.backoff.seconds_since_start() < STARTUP_TIMEOUT_S

    def _record_death(self) -> str:
        if self._is_down:
            return ""
        self._is_down = True
        self.backoff.record_failure()
        if self.backoff.failures < MANY_FAILURES:
            return f"{self.server.name} stopped. Restarting it."
        return self._report(self.server.exit_cause())

    def _restart_if_down(self) -> str:
        if self._is_down and self.backoff.may_restart():
            self.backoff.record_start()
            try:
                self.server.launch()
            except (EmbeddedError, OSError, psutil.Error) as error:
                return self._failed(error)
            self._unanswered, self._is_down = 0, False
        return ""

    def _failed(self, error: Exception) -> str:
        self.backoff.record_failure()
        return self._report(str(error))

    def _report(self, cause: str) -> str:
        """One line, only once for a series of failures."""
        if not self.backoff.keeps_failing():
            return ""
        return f"{self.server.name} cannot be restarted and will be tried again: {cause}"

    def _is_running_again(self) -> str:
        if self.backoff.failures and self.backoff.is_stable():
            was_reported = self.backoff.failures >= MANY_FAILURES
            self.backoff.reset()
            return f"{self.server.name} is running again." if was_reported else ""
        return ""
