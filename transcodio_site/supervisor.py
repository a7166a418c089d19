"""Start, watch, restart and stop the processes of a Transcodio stack."""

from __future__ import annotations

import ctypes
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
from django.conf import settings

from transcodio_site.embedded import restart_dead_servers

STARTUP_TIMEOUT_S = 60.0  # for the web server to respond
SHUTDOWN_TIMEOUT_S = 10.0  # before a process is killed
SERVER_CHECK_INTERVAL_S = 3.0  # of the embedded servers
CRASH_RESET_S = 30.0  # after this run time the crash count of a process is reset
READ_TIMEOUT_S = 1.0
MAX_CRASHES = 5
PR_SET_PDEATHSIG = 1


class StackError(Exception):
    """The stack cannot run. `str()` is one line with the cause and what to do."""


@dataclass
class Child:
    """One process and its crash count."""

    name: str
    command: list[str]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    crashes: int = 0
    last_line: str = ""  # of its error output
    reader: threading.Thread | None = None

    def start(self, env: dict[str, str]) -> None:
        """Start the process in a new session: Ctrl-C must reach only the supervisor."""
        self.process = subprocess.Popen(
            self.command,
            cwd=settings.BASE_DIR,
            env=env,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=_die_with_parent(),
        )
        self.started_at = time.monotonic()
        self.last_line = ""
        self.reader = threading.Thread(target=self._forward_stderr, daemon=True)
        self.reader.start()

    def exit_reason(self) -> str:
        """The last line that it printed to standard error: in a traceback, the exception."""
        if self.reader:
            self.reader.join(READ_TIMEOUT_S)  # a grandchild may hold the pipe open
        return self.last_line or "it printed nothing"

    def _forward_stderr(self) -> None:
        assert self.process  # noqa: S101 - for mypy
        for line in self.process.stderr or ():
            self.last_line = line.decode(errors="replace").strip() or self.last_line
            # Standard error may be closed: keep reading, or the child would block.
            with suppress(OSError):
                os.write(2, line)

    def has_exited(self) -> bool:
        """Whether the process was started and has exited."""
        return self.process is not None and self.process.poll() is not None


@dataclass
class Stack:
    """Web server, Celery worker and beat, on one port."""

    host: str
    port: int
    children: list[Child] = field(default_factory=list)

    def __post_init__(self) -> None:
        celery = [sys.executable, "-m", "celery", "-A", "transcodio_site", "--quiet"]
        quiet = ["--loglevel", "WARNING"]
        queues = ["--queues", "celery,preprocess,transcribe"]
        standalone = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        web = [sys.executable, "-m", "transcodio_site.server", "--bind", self.host]
        self.children = [
            Child("web", [*web, "--port", str(self.port)]),
            Child("worker", [*celery, "worker", *quiet, *queues, *standalone]),
            Child("beat", [*celery, "beat", *quiet, "--pidfile="]),
        ]

    @property
    def url(self) -> str:
        """The URL of the web server."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104
        return f"http://{host}:{self.port}"

    def watch(self, until: Callable[[], bool]) -> None:
        """Restart processes that exit, until `until()` is true.

        Raises StackError if a process keeps crashing.
        """
        checked_at = time.monotonic()
        while not until():
            for child in self.children:
                if child.has_exited():
                    self._restart(child)
            if time.monotonic() - checked_at > SERVER_CHECK_INTERVAL_S:
                for name in restart_dead_servers(**dict[str, Any](settings.EMBEDDED_SERVERS)):
                    _print(f"{name} stopped and was restarted.")
                checked_at = time.monotonic()
            time.sleep(0.1)

    def _restart(self, child: Child) -> None:
        if time.monotonic() - child.started_at > CRASH_RESET_S:
            child.crashes = 0
        child.crashes += 1
        if child.crashes > MAX_CRASHES:
            raise StackError(f"The {child.name} process keeps stopping: {child.exit_reason()}")
        _print(f"The {child.name} process stopped. Restarting it.")
        child.start(self._environment())

    def _environment(self) -> dict[str, str]:
        return os.environ | {"PORT": str(self.port)}

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + STARTUP_TIMEOUT_S
        while not is_healthy(self.url):
            if self.children[0].has_exited():
                raise StackError(f"The web server did not start: {self.children[0].exit_reason()}")
            if time.monotonic() > deadline:
                raise StackError(
                    f"The web server did not respond within {STARTUP_TIMEOUT_S:.0f} seconds."
                )
            time.sleep(0.05)

    def _stop(self) -> None:
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


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201


@contextmanager
def running(host: str, port: int) -> Iterator[Stack]:
    """Run the stack while the body runs; it is healthy when the body starts. Raises StackError."""
    check_port(host, port)
    stack = Stack(host, port)
    try:
        for child in stack.children:
            child.start(stack._environment())
        stack._wait_until_healthy()
        address_file().write_text(json.dumps({"url": stack.url, "pid": os.getpid()}))
        yield stack
    finally:
        if _address().get("pid") == os.getpid():  # another stack may run on the same data folder
            address_file().unlink(missing_ok=True)
        stack._stop()


def address_file() -> Path:
    """The file in which a running stack of this data folder publishes its URL."""
    return Path(settings.VAR_DIR) / "address.json"


def running_url() -> str | None:
    """The URL of the stack that runs on this data folder, or None."""
    address = _address()
    # A killed stack leaves the file behind, and another program may use its port.
    alive = address and psutil.pid_exists(address["pid"])
    return address["url"] if alive and is_healthy(address["url"]) else None


def _address() -> dict[str, Any]:
    """`url` and `pid` of the stack that started last; empty if it has stopped."""
    with suppress(OSError, ValueError):
        return dict(json.loads(address_file().read_text()))
    return {}


def is_healthy(url: str) -> bool:
    """Whether a Transcodio server responds at this URL."""
    try:
        return bool(httpx.get(f"{url}/health", timeout=5).json().get("status") == "healthy")
    except (httpx.HTTPError, ValueError):
        return False


def check_port(host: str, port: int) -> None:
    """Check that the port can be used. Raises StackError."""
    if not 1 <= port <= 65535:
        raise StackError(f"{port} is not a port: choose one from 1 to 65535.")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise StackError(
                f"Port {port} on {host} cannot be used ({error.strerror}). "
                f"Choose another one: make run PORT={port + 1}"
            ) from None


def free_port() -> int:
    """A free port of the loopback interface.

    It is below the ports that outgoing connections get, which could take it before the server does.
    """
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _die_with_parent() -> Callable[[], None] | None:
    """On Linux, send SIGTERM to the child when the supervisor exits, even if it was killed."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
