"""The processes of one running Transcodio: started, watched, restarted and stopped together."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from django.conf import settings

BOOT = 60.0  # seconds until the page must answer
GRACE = 10.0  # seconds for a process to stop by itself
STABLE = 30.0  # seconds after which an earlier crash of a process is forgiven
MAX_CRASHES = 5
LEFT_BEHIND = 24 * 3600.0  # seconds: nothing works on a temporary file for that long
PR_SET_PDEATHSIG = 1


class StackError(Exception):
    """The stack cannot run; one line that says why and what to do."""


@dataclass
class Child:
    """One process and how often it had to be started."""

    name: str
    command: list[str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    crashes: int = 0

    def start(self, env: dict[str, str]) -> None:
        """Starts it, in a session of its own: Ctrl-C is the supervisor's business."""
        self.process = subprocess.Popen(
            self.command,
            cwd=settings.BASE_DIR,
            env=env,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_die_with_parent(),
        )
        self.started = time.monotonic()

    def has_died(self) -> bool:
        """Whether it ended although nobody asked for it."""
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
        """Where the page is."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104
        return f"http://{host}:{self.port}"

    def watch(self, until: Callable[[], bool]) -> None:
        """Restarts what dies, until told to stop. Raises StackError if it keeps dying."""
        while not until():
            for child in self.children:
                if child.has_died():
                    self._restart(child)
            time.sleep(0.1)

    def _restart(self, child: Child) -> None:
        if time.monotonic() - child.started > STABLE:
            child.crashes = 0
        child.crashes += 1
        if child.crashes > MAX_CRASHES:
            raise StackError(f"The {child.name} process keeps stopping; its messages are above.")
        print(f"The {child.name} process stopped and is started again.", flush=True)  # noqa: T201
        child.start(self._environment())

    def _environment(self) -> dict[str, str]:
        # Twisted and Django put large bodies into temporary files: they belong to the data folder.
        return os.environ | {"PORT": str(self.port), "TMPDIR": str(settings.FILE_UPLOAD_TEMP_DIR)}

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + BOOT
        while not is_healthy(self.url):
            if self.children[0].has_died():
                raise StackError("The web server did not start; its messages are above.")
            if time.monotonic() > deadline:
                raise StackError(f"The page did not answer within {BOOT:.0f} seconds.")
            time.sleep(0.05)

    def _stop(self) -> None:
        running = [c.process for c in self.children if c.process]
        for process in running:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + GRACE
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()  # what it worked on is taken up again where it was
                process.wait()


@contextmanager
def running(host: str, port: int) -> Iterator[Stack]:
    """The whole stack is up and healthy while the body runs. Raises StackError."""
    check_port(host, port)
    _clear_away(settings.FILE_UPLOAD_TEMP_DIR)
    stack = Stack(host, port)
    address = address_file()
    try:
        for child in stack.children:
            child.start(stack._environment())
        stack._wait_until_healthy()
        address.write_text(json.dumps({"url": stack.url, "pid": os.getpid()}))
        yield stack
    finally:
        address.unlink(missing_ok=True)
        stack._stop()


def _clear_away(temporary: Path) -> None:
    """Removes what killed processes left there. Another stack may be at work: only the old goes."""
    temporary.mkdir(parents=True, exist_ok=True)
    for path in temporary.iterdir():
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime < LEFT_BEHIND:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()


def address_file() -> Path:
    """Where a running stack of this data folder says what its address is."""
    return Path(settings.VAR_DIR) / "address.json"


def running_url() -> str | None:
    """The address of the stack that runs on this data folder, if there is one."""
    try:
        url = str(json.loads(address_file().read_text())["url"])
    except (OSError, ValueError, KeyError):
        return None
    return url if is_healthy(url) else None


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
    """A port of the loopback interface that is free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _die_with_parent() -> Callable[[], None] | None:
    """On Linux a child gets SIGTERM when the supervisor is gone, however it went."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
