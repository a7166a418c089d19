"""The stack: web server, Celery worker and beat, and the embedded servers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings

from transcodio_site.backoff import Backoff
from transcodio_site.embedded import watches
from transcodio_site.embedded.watch import MAX_UNANSWERED, ServerWatch
from transcodio_site.supervisor import address
from transcodio_site.supervisor.child import Child
from transcodio_site.supervisor.errors import StackError, os_errors_as_stack_errors
from transcodio_site.supervisor.leftovers import mark, stop_leftovers
from transcodio_site.supervisor.ports import check_port, responds

STARTUP_TIMEOUT_S = 60.0  # for the web server to respond
SHUTDOWN_TIMEOUT_S = 10.0  # before a process is killed
CHECK_INTERVAL_S = 3.0  # of the embedded servers and of the web server's responses
PROBE_TIMEOUT_S = 5.0
STARTUP_PROBES = 30  # that a starting web server may leave unanswered


@dataclass
class Stack:
    """Web server, Celery worker and beat, on one port."""

    host: str
    port: int
    children: list[Child] = field(default_factory=list)
    servers: list[ServerWatch] = field(default_factory=list)

    def __post_init__(self) -> None:
        celery = [sys.executable, "-m", "celery", "-A", "transcodio_site", "--quiet"]
        quiet = ["--loglevel", "WARNING"]
        queues = ["--queues", "celery,preprocess,transcribe"]
        # Live speech has a process of its own: it cannot wait for the recordings in the others.
        threads = ["--concurrency", str(settings.MAX_LIVE_SESSIONS)]
        live = ["--hostname", "live@%h", "--queues", "live", *threads]
        # Each worker needs a port of its own.
        port = settings.METRICS_PORT
        metrics = {"METRICS_PORT": str(port + 1)} if port else {}
        standalone = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        web = [sys.executable, "-m", "transcodio_site.server", "--bind", self.host]
        self.web = Child("web", [*web, "--port", str(self.port)], backoff=Backoff(essential=True))
        self.children = [
            self.web,
            Child("worker", [*celery, "worker", *quiet, *queues, *standalone]),
            Child("live", [*celery, "worker", *quiet, *live, *standalone], environment=metrics),
            Child("beat", [*celery, "beat", *quiet, "--pidfile="]),
        ]
        if settings.WYOMING_TOKEN:
            wyoming = [sys.executable, "-m", "transcodio_site.wyoming_server"]
            self.children.append(Child("Wyoming", wyoming))
        self.servers = watches(**dict[str, Any](settings.EMBEDDED_SERVERS))
        self._checked_at = time.monotonic()
        self._data_folder = _identity(settings.VAR_DIR)
        self._responsive: subprocess.Popen[bytes] | None = None  # the web process that responded
        self._unanswered = 0  # probes of the web server, in a row

    @property
    def url(self) -> str:
        """The URL of the web server."""
        host = self._connect_host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def _connect_host(self) -> str:
        return "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104

    def start(self) -> None:
        """Start all processes and wait until the web server is healthy. Raises StackError."""
        with os_errors_as_stack_errors():
            for child in self.children:
                child.start(self._environment())
        self._wait_until_healthy()

    def watch(self, until: Callable[[], bool]) -> None:
        """Restart what dies or hangs, until `until()` is true.

        Raises StackError if the data folder was moved or deleted.
        """
        while not until():
            self._check()
            time.sleep(0.1)

    def stop(self) -> None:
        """Terminate all processes, and kill those that do not exit."""
        running = [c.process for c in self.children if c.process]
        for process in running:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + SHUTDOWN_TIMEOUT_S
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()  # the next start continues its work
                process.wait()

    def _check(self) -> None:
        if time.monotonic() - self._checked_at > CHECK_INTERVAL_S:
            self._check_data_folder()
            for server in self.servers:
                _print(server.check())
            self._check_web()
            self._checked_at = time.monotonic()
        for child in self.children:
            _print(child.keep_running(self._environment()))

    def _check_data_folder(self) -> None:
        if _identity(settings.VAR_DIR) != self._data_folder:
            raise StackError(
                f"The data folder {settings.VAR_DIR} was moved or deleted. Move it back, or set "
                "VAR_DIR to where it is now, and start again."
            )

    def _check_web(self) -> None:
        """Kill a web server that hangs; it is restarted like one that crashed."""
        process = self.web.process
        if process is None:
            return
        if responds(self._connect_host, self.port, PROBE_TIMEOUT_S):
            self._responsive, self._unanswered = process, 0
            return
        self._unanswered += 1
        if self._unanswered >= (MAX_UNANSWERED if process is self._responsive else STARTUP_PROBES):
            _print("The web server did not respond.")
            process.kill()
            process.wait()
            self._unanswered = 0

    def _environment(self) -> dict[str, str]:
        own = {"PORT": str(self.port), "WYOMING_SERVER": self.url}
        return os.environ | own | mark()

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + STARTUP_TIMEOUT_S
        while not address.is_healthy(self.url):
            if self.web.has_exited() or self.web.backoff.failures:
                raise StackError(f"The web server did not start: {self.web.exit_reason()}")
            if time.monotonic() > deadline:
                raise StackError(
                    f"The web server did not respond within {STARTUP_TIMEOUT_S:.0f} seconds."
                )
            self._check()
            time.sleep(0.05)


@contextmanager
def running(host: str, port: int) -> Iterator[Stack]:
    """Run the stack while the body runs; it is healthy when the body starts.

    Raises StackError.
    """
    stop_leftovers()
    check_port(host, port)
    stack = Stack(host, port)
    try:
        stack.start()
        with os_errors_as_stack_errors():
            address.publish(stack.url)
        yield stack
    finally:
        address.withdraw()
        stack.stop()


def _identity(folder: Path) -> tuple[int, int] | None:
    """Device and inode, which stay the same when a folder is renamed."""
    with suppress(OSError):
        status = folder.stat()
        return status.st_dev, status.st_ino
    return None


def _print(line: str) -> None:
    if line:
        print(line, flush=True)  # noqa: T201
