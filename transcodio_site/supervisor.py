"""The processes of one running Transcodio: started, watched, restarted and stopped together."""

from __future__ import annotations

import ctypes
import json
import os
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

from transcodio_site.embedded import revive

STARTUP_TIMEOUT_S = 60.0  # until the page must answer
SHUTDOWN_TIMEOUT_S = 10.0  # then a process is killed
SERVER_CHECK_INTERVAL_S = 3.0  # between two checks of the embedded servers
CRASH_RESET_S = 30.0  # a process that ran for so long starts to count its crashes anew
READ_TIMEOUT_S = 1.0
MAX_CRASHES = 5
PR_SET_PDEATHSIG = 1


class StackError(Exception):
    """The stack cannot run; one line that says why and what to do."""


@dataclass
class Child:
    """One process and how often it has crashed."""

    name: str
    command: list[str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    crashes: int = 0
    last_line: str = ""  # of its error output
    reader: threading.Thread | None = None

    def start(self, env: dict[str, str]) -> None:
        """Starts it, in a session of its own: Ctrl-C is the supervisor's business."""
        self.process = subprocess.Popen(
            self.command,
            cwd=settings.BASE_DIR,
            env=env,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=_die_with_parent(),
        )
        self.started = time.monotonic()
        self.last_line = ""
        self.reader = threading.Thread(target=self._pass_errors_on, daemon=True)
        self.reader.start()

    def why(self) -> str:
        """The last line of its error output, after it has died: of a traceback, the exception."""
        if self.reader:
            self.reader.join(READ_TIMEOUT_S)  # a grandchild may hold the pipe open
        return self.last_line or "it printed nothing"

    def _pass_errors_on(self) -> None:
        assert self.process  # noqa: S101 - for mypy
        for line in self.process.stderr or ():
            self.last_line = line.decode(errors="replace").strip() or self.last_line
            with suppress(OSError):  # our own reader may be gone: go on, or the child would block
                os.write(2, line)

    def has_died(self) -> bool:
        """Whether it has ended."""
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
        alone = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        web = [sys.executable, "-m", "transcodio_site.server", "--bind", self.host]
        self.children = [
            Child("web", [*web, "--port", str(self.port)]),
            Child("worker", [*celery, "worker", *quiet, *queues, *alone]),
            Child("beat", [*celery, "beat", *quiet, "--pidfile="]),
        ]

    @property
    def url(self) -> str:
        """The address of the page."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104
        return f"http://{host}:{self.port}"

    def watch(self, until: Callable[[], bool]) -> None:
        """Restarts what dies, until told to stop. Raises StackError if it keeps dying."""
        looked = time.monotonic()
        while not until():
            for child in self.children:
                if child.has_died():
                    self._restart(child)
            if time.monotonic() - looked > SERVER_CHECK_INTERVAL_S:
                for name in revive(**dict[str, Any](settings.EMBEDDED_SERVERS)):
                    _say(f"{name} had stopped and is started again.")
                looked = time.monotonic()
            time.sleep(0.1)

    def _restart(self, child: Child) -> None:
        if time.monotonic() - child.started > CRASH_RESET_S:
            child.crashes = 0
        child.crashes += 1
        if child.crashes > MAX_CRASHES:
            raise StackError(f"The {child.name} process keeps stopping: {child.why()}")
        _say(f"The {child.name} process stopped and is started again.")
        child.start(self._environment())

    def _environment(self) -> dict[str, str]:
        return os.environ | {"PORT": str(self.port)}

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + STARTUP_TIMEOUT_S
        while not is_healthy(self.url):
            if self.children[0].has_died():
                raise StackError(f"The web server did not start: {self.children[0].why()}")
            if time.monotonic() > deadline:
                raise StackError(f"The page did not answer within {STARTUP_TIMEOUT_S:.0f} seconds.")
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
                process.kill()  # its work is continued at the next start
                process.wait()


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


@contextmanager
def running(host: str, port: int) -> Iterator[Stack]:
    """The whole stack is up and healthy while the body runs. Raises StackError."""
    check_port(host, port)
    stack = Stack(host, port)
    try:
        for child in stack.children:
            child.start(stack._environment())
        stack._wait_until_healthy()
        address_file().write_text(json.dumps({"url": stack.url, "pid": os.getpid()}))
        yield stack
    finally:
        if _address().get("pid") == os.getpid():  # not that of another stack on the same data
            address_file().unlink(missing_ok=True)
        stack._stop()


def address_file() -> Path:
    """In it a running stack of this data folder publishes its URL."""
    return Path(settings.VAR_DIR) / "address.json"


def running_url() -> str | None:
    """The URL of the stack that runs on this data folder, if there is one."""
    address = _address()
    # A killed stack leaves the file, and another program may listen there by now.
    alive = address and psutil.pid_exists(address["pid"])
    return address["url"] if alive and is_healthy(address["url"]) else None


def _address() -> dict[str, Any]:
    """`url` and `pid` of the stack that started last; empty if it has ended."""
    with suppress(OSError, ValueError):
        return dict(json.loads(address_file().read_text()))
    return {}


def is_healthy(url: str) -> bool:
    """Whether a Transcodio answers there."""
    try:
        return bool(httpx.get(f"{url}/health", timeout=5).json().get("status") == "healthy")
    except (httpx.HTTPError, ValueError):
        return False


def check_port(host: str, port: int) -> None:
    """Raises StackError if somebody else listens there."""
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
    """A free port of the loopback interface."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _die_with_parent() -> Callable[[], None] | None:
    """On Linux a child gets SIGTERM when the supervisor ends, even if it was killed."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
