"""Base class of the embedded servers: starting, identifying and stopping one."""

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
    """One server process, identified by its PID file."""

    name: str
    stop_signal: signal.Signals

    def __init__(self, var: Path) -> None:
        self.var = var
        self.log = var / "log" / f"{self.name.lower()}.log"

    @property
    @abstractmethod
    def folder(self) -> Path:
        """The working directory, which differs between installations."""

    @property
    @abstractmethod
    def command_line_marker(self) -> str:
        """A part of the command line that no other server has."""

    @abstractmethod
    def pid(self) -> int:
        """The process id in the PID file. Raises OSError, ValueError, IndexError."""

    @abstractmethod
    def command(self) -> list[str]:
        """The command that runs the server in the foreground. Raises EmbeddedError."""

    @abstractmethod
    def accepts_connections(self) -> bool:
        """Whether the server accepts connections."""

    @abstractmethod
    def remove_stale_files(self) -> None:
        """Remove the PID and lock files of a killed server."""

    def process_options(self) -> dict[str, Any]:
        """More arguments for `subprocess.Popen`."""
        return {}

    def start(self) -> None:
        """Start the server unless it runs, and wait until it accepts connections.

        Raises EmbeddedError.
        """
        deadline = time.monotonic() + STARTUP_TIMEOUT_S
        process: subprocess.Popen[bytes] | None = None
        failures = 0
        logged = self.log.stat().st_size if self.log.exists() else 0
        while not self.accepts_connections():
            if time.monotonic() > deadline or failures > MAX_FAILURES:
                output = self.log.read_bytes()[logged:].decode(errors="replace")
                raise EmbeddedError(
                    f"{self.name} does not start: {failure_cause(output)} (see {self.log})"
                )
            if process is None and not self.running():
                self.remove_stale_files()
                process = self._spawn()
            elif process and process.poll() is not None:
                # Shared memory of a killed server may take a moment to be released: retry.
                process, failures = None, failures + 1
                time.sleep(RETRY_INTERVAL_S)
            time.sleep(POLL_INTERVAL_S)

    def stop(self) -> None:
        """Stop the server and wait until it has exited."""
        process = self.running()
        if process is None:
            return
        with suppress(psutil.NoSuchProcess):
            process.send_signal(self.stop_signal)
            deadline = time.monotonic() + SHUTDOWN_TIMEOUT_S
            # A zombie has exited. Its parent may reap it late or never.
            while process.status() != psutil.STATUS_ZOMBIE:
                if time.monotonic() > deadline:
                    process.kill()
                time.sleep(POLL_INTERVAL_S)
            with suppress(psutil.TimeoutExpired):
                process.wait(0)  # reaps it if this process is the parent

    def running(self) -> psutil.Process | None:
        """The process with the id in the PID file, if it is this server.

        After a crash the id may belong to any process, even to the server of another installation.
        """
        try:
            process = psutil.Process(self.pid())
            if process.name().startswith(self.program) and self._is_this_server(process):
                return process
        except (OSError, ValueError, IndexError, psutil.Error):
            pass
        return None

    def _is_this_server(self, process: psutil.Process) -> bool:
        try:
            return Path(process.cwd()) == self.folder
        except psutil.AccessDenied:  # root in a container may not inspect processes of other users
            return self.command_line_marker in process.cmdline()

    @property
    def program(self) -> str:
        """The name in the process list."""
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
                start_new_session=True,  # Ctrl-C must reach only the command, not its servers
                **options,
            )


def failure_cause(output: str) -> str:
    """The line of a program's output that names the cause of its failure."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [SEVERITY.sub("", line) for line in lines if SEVERITY.match(line)]
    return (errors or lines or ["it printed nothing"])[-1].rstrip(".")
