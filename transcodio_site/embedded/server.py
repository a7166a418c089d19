"""What the two servers have in common: how one is started, recognized and stopped."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from transcodio_site.embedded.folders import EmbeddedError
from transcodio_site.embedded.server_user import server_environment

MAX_FAILURES = 10
STARTUP_TIMEOUT_S = 60.0  # recovery after a crash takes time
SHUTDOWN_TIMEOUT_S = 60.0
RETRY_INTERVAL_S = 0.3
POLL_INTERVAL_S = 0.02
SEVERITY = re.compile(r".*?\b(?:FATAL|PANIC|ERROR|error):\s+")


class Server(ABC):
    """One server process, known by the file in which it writes its process id."""

    name: str
    stop_signal: signal.Signals

    def __init__(self, var: Path) -> None:
        self.var = var
        self.log = var / "log" / f"{self.name.lower()}.log"

    @property
    @abstractmethod
    def folder(self) -> Path:
        """Its working directory, which tells it from the servers of other installations."""

    @property
    @abstractmethod
    def command_line_mark(self) -> str:
        """What its command line contains, and that of no other server."""

    @abstractmethod
    def pid(self) -> int:
        """The process id that it wrote. Raises OSError, ValueError, IndexError."""

    @abstractmethod
    def command(self) -> list[str]:
        """What to run, in the foreground. Raises EmbeddedError."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether it takes connections."""

    @abstractmethod
    def remove_stale_files(self) -> None:
        """Removes what a killed predecessor wrote about itself."""

    def process_options(self) -> dict[str, Any]:
        """More arguments for `subprocess.Popen`."""
        return {}

    def start(self) -> None:
        """Starts it unless it runs, and waits until it answers. Raises EmbeddedError."""
        deadline = time.monotonic() + STARTUP_TIMEOUT_S
        process: subprocess.Popen[bytes] | None = None
        failures = 0
        logged = self.log.stat().st_size if self.log.exists() else 0
        while not self.answers():
            if time.monotonic() > deadline or failures > MAX_FAILURES:
                output = self.log.read_bytes()[logged:].decode(errors="replace")
                raise EmbeddedError(
                    f"{self.name} does not start: {failure_cause(output)} (see {self.log})"
                )
            if process is None and not self.running():
                self.remove_stale_files()
                process = self._spawn()
            elif process and process.poll() is not None:
                # What a killed predecessor left may need a moment to go away: try again.
                process, failures = None, failures + 1
                time.sleep(RETRY_INTERVAL_S)
            time.sleep(POLL_INTERVAL_S)

    def stop(self) -> None:
        """Stops it and waits until it has."""
        process = self.running()
        if process is None:
            return
        with suppress(psutil.NoSuchProcess):
            process.send_signal(self.stop_signal)
            deadline = time.monotonic() + SHUTDOWN_TIMEOUT_S
            # A zombie has ended: its parent may be long in noticing, or never do.
            while process.status() != psutil.STATUS_ZOMBIE:
                if time.monotonic() > deadline:
                    process.kill()
                time.sleep(POLL_INTERVAL_S)
            with suppress(psutil.TimeoutExpired):
                process.wait(0)  # reaps it if the parent is us

    def running(self) -> psutil.Process | None:
        """The process whose id it wrote, if that is indeed this server.

        After a crash the id may belong to any process, even the server of another installation.
        """
        try:
            process = psutil.Process(self.pid())
            if process.name().startswith(self.program) and self._is_ours(process):
                return process
        except (OSError, ValueError, IndexError, psutil.Error):
            pass
        return None

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return Path(process.cwd()) == self.folder
        except psutil.AccessDenied:  # in a container root may not look at processes of others
            return self.command_line_mark in process.cmdline()

    @property
    def program(self) -> str:
        """How the process is called in the process list."""
        return self.name.lower()

    def _spawn(self) -> subprocess.Popen[bytes]:
        command, options = self.command(), self.process_options()
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=server_environment(),
                start_new_session=True,  # Ctrl-C is for the command, not for its servers
                **options,
            )


def failure_cause(output: str) -> str:
    """The line of a program's output that says why it failed."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [SEVERITY.sub("", line) for line in lines if SEVERITY.match(line)]
    return (errors or lines or ["it printed nothing"])[-1].rstrip(".")
