"""Base class of the embedded servers: starting, identifying and stopping one."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path
from typing import Any

import psutil

from transcodio_site.embedded.folders import EmbeddedError
from transcodio_site.embedded.server_user import server_environment

MAX_FAILURES = 10
STARTUP_TIMEOUT_S = 60.0  # without a sign of life
HANG_TIMEOUT_S = 20.0  # of a server that runs already
SHUTDOWN_TIMEOUT_S = 60.0
KILL_TIMEOUT_S = 10.0
PROBE_TIMEOUT_S = 5.0
RETRY_INTERVAL_S = 0.3
POLL_INTERVAL_S = 0.02
SEVERITY = re.compile(r".*?\b(?:FATAL|PANIC|ERROR|error):\s+")


class Response(Enum):
    """What a server answers to a probe."""

    READY = auto()
    NOT_YET = auto()  # it is starting, or recovering from a crash, which may take long
    NONE = auto()


class Server(ABC):
    """One server process, identified by its PID file."""

    name: str
    stop_signal: signal.Signals

    def __init__(self, var: Path) -> None:
        self.var = var
        self.log = var / "log" / f"{self.name.lower()}.log"
        self.process: subprocess.Popen[bytes] | None = None  # if this object has started it
        self._started: psutil.Process | None = None  # its PID file may be moved or deleted
        self._log_start = 0  # where its output begins

    @property
    @abstractmethod
    def folder(self) -> Path:
        """The working directory, which differs between installations."""

    @property
    @abstractmethod
    def socket(self) -> Path:
        """The Unix socket on which it listens."""

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
    def probe(self) -> Response:
        """Ask the server whether it accepts connections. Takes at most about PROBE_TIMEOUT_S."""

    @abstractmethod
    def remove_stale_files(self) -> None:
        """Remove the PID and lock files of a killed server."""

    def process_options(self) -> dict[str, Any]:
        """More arguments for `subprocess.Popen`."""
        return {}

    def prepare(self) -> None:  # noqa: B027 - most servers need nothing
        """Create what the server needs. Called before it is started. Raises EmbeddedError."""

    def leftovers(self) -> list[psutil.Process]:
        """Processes that a killed server has left behind."""
        return []

    def start(self) -> None:
        """Start the server unless it runs, and wait until it accepts connections.

        Raises EmbeddedError.
        """
        if self.probe() is Response.READY:
            self.note_ready()
            return
        self._stop_if_unreachable()
        self.prepare()
        waiting_since = time.monotonic()
        failures = 0
        while (response := self.probe()) is not Response.READY:
            if response is Response.NOT_YET:
                waiting_since = time.monotonic()
            waited = time.monotonic() - waiting_since
            if waited > STARTUP_TIMEOUT_S or failures > MAX_FAILURES:
                raise EmbeddedError(
                    f"{self.name} does not start: {self.exit_cause()} (see {self.log})"
                )
            if self.process is None and not self.running():
                self.launch()
            elif self.process and self.process.poll() is not None:
                # Shared memory of a killed server may take a moment to be released: retry.
                self.process, failures = None, failures + 1
                time.sleep(RETRY_INTERVAL_S)
            elif self.process is None and waited > HANG_TIMEOUT_S:
                self.kill()
                waiting_since = time.monotonic()
            time.sleep(POLL_INTERVAL_S)
        self.note_ready()

    def launch(self) -> None:
        """Start the process and do not wait for it. Raises EmbeddedError, OSError."""
        self._kill_leftovers()
        self.remove_stale_files()
        command, options = self.command(), self.process_options()
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=server_environment(),
                start_new_session=True,  # Ctrl-C must reach only the command, not its servers
                **options,
            )

    def note_ready(self) -> None:
        """Note that the PID file now identifies the process."""
        self._started = self.running()
        self.process = None  # `subprocess` reaps a dead one that nothing refers to

    def is_alive(self) -> bool:
        """Whether there is a process, even one that has written no PID file yet."""
        return (self.process is not None and self.process.poll() is None) or bool(self.running())

    def exit_cause(self) -> str:
        """Why the last start failed, from the log."""
        try:
            output = self.log.read_bytes()[self._log_start :]
        except OSError as error:
            return str(error.strerror)
        return failure_cause(output.decode(errors="replace"))

    def stop(self) -> None:
        """Stop the server and wait until it has exited."""
        process = self.running() or self._started
        if process is None:
            return
        with suppress(psutil.NoSuchProcess):
            process.send_signal(self.stop_signal)
            deadline = time.monotonic() + SHUTDOWN_TIMEOUT_S
            # A zombie has exited. Its parent may reap it late or never.
            while process.status() != psutil.STATUS_ZOMBIE:
                if time.monotonic() > deadline:
                    self.kill()
                time.sleep(POLL_INTERVAL_S)
            with suppress(psutil.TimeoutExpired):
                process.wait(0)  # reaps it if this process is the parent

    def kill(self) -> None:
        """Kill a server that does not respond. Raises EmbeddedError if that is impossible."""
        if process := self.running():
            self._kill([process])
        self._kill_leftovers()
        self.process = None

    def running(self) -> psutil.Process | None:
        """The process with the id in the PID file, if it is this server.

        After a crash the id may belong to any process, even to the server of another installation.
        """
        try:
            process = psutil.Process(self.pid())
            if process.name().startswith(self.program) and self._is_this_server(process):
                return process
        except (OSError, ValueError, IndexError, OverflowError, psutil.Error):
            pass
        return None

    def _is_this_server(self, process: psutil.Process) -> bool:
        try:
            return Path(process.cwd()) == self.folder
        except psutil.AccessDenied:  # root in a container may not inspect processes of other users
            return self.command_line_marker in process.cmdline()

    def _stop_if_unreachable(self) -> None:
        """Stop a server that runs without our socket: the data folder was renamed, an earlier
        release started it, or the socket was deleted."""
        process = self.running()
        if process and not (self._listens_here(process) and self.socket.exists()):
            self.stop()

    def _listens_here(self, process: psutil.Process) -> bool:
        return str(self.socket.parent) in " ".join(process.cmdline())

    def _kill_leftovers(self) -> None:
        self._kill(self.leftovers())

    def _kill(self, processes: list[psutil.Process]) -> None:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        alive = [p for p in processes if not _has_exited(p)]
        deadline = time.monotonic() + KILL_TIMEOUT_S
        while alive := [p for p in alive if not _has_exited(p)]:
            if time.monotonic() > deadline:
                raise EmbeddedError(
                    f"{self.name} (process {alive[0].pid}) hangs and cannot be killed: is the disk "
                    "available? Restart this machine if that does not help."
                )
            time.sleep(POLL_INTERVAL_S)

    @property
    def program(self) -> str:
        """The name in the process list."""
        return self.name.lower()


def _has_exited(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def failure_cause(output: str) -> str:
    """The line of a program's output that names the cause of its failure."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [SEVERITY.sub("", line) for line in lines if SEVERITY.match(line)]
    return (errors or lines or ["it printed nothing"])[-1].rstrip(".")
