"""The whole service in separate processes, and ways to hold work in them open."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from websockets.sync import client

from transcodio_site.testing_media import WAIT_S
from transcodio_site.testing_shell import ROOT as ROOT
from transcodio_site.testing_shell import Shell

READY = "Press Ctrl-C"  # in the last line that `up` prints when it starts
HOLD_FOLDER = ROOT / "transcodio_site" / "tests" / "hold"


class Hold:
    """Keeps the recognition in other processes from ending before the test has done its part.

    The processes are started with `environment`; see transcodio_site/tests/hold/sitecustomize.py.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / "hold"

    @property
    def environment(self) -> dict[str, str]:
        """For processes in which recognition is to be held."""
        return {"PYTHONPATH": str(HOLD_FOLDER), "HOLD_FILE": str(self.file)}

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Kyutai decodes nothing, and Whisper returns no second segment, while the body runs."""
        with self.file.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


class Stack:
    """A running Transcodio: `manage.py up` in a separate process."""

    storage_origins: tuple[str, ...] = ()  # other servers that its pages use

    def __init__(self, var: Path) -> None:
        from transcodio_site.supervisor import free_port

        self.var = var
        self.url = f"http://127.0.0.1:{free_port()}"
        self.process: subprocess.Popen[str] | None = None
        self.output: list[str] = []
        self.hold = Hold(var)
        self._shell: Shell | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The environment for commands on this data folder. Limits are low, so that tests can
        exceed them."""
        return os.environ | {
            "VAR_DIR": str(self.var),
            "MAX_FILE_SIZE_MB": "8",
            "MAX_DURATION_SECONDS": "300",
            "LEASE_SECONDS": "4",
            "MAX_LIVE_SESSIONS_PER_USER": "20",
            "MAX_LIVE_SESSIONS": "20",
            "RATE_LIMIT_PER_TOKEN": "100000/minute",
            "RATE_LIMIT_PER_USER": "100000/minute",
            "RATE_LIMIT_WRONG_TOKENS": "100000/minute",
            "RATE_LIMIT_PER_ADDRESS": "100000/minute",
            "RATE_LIMIT_PAGES": "100000/minute",
            "WEBHOOK_ALLOW_PRIVATE": "true",
            **self.hold.environment,
        }

    @contextmanager
    def another_web(self, **environment: str) -> Iterator[tuple[str, int]]:
        """A further web process on the same data, with other settings: its URL and process id."""
        from transcodio_site.supervisor import free_port, is_healthy

        port = free_port()
        command = [sys.executable, "-m", "transcodio_site.server", "--port", str(port)]
        with subprocess.Popen(command, cwd=ROOT, env=self.environment | environment) as web:
            try:
                url = f"http://127.0.0.1:{port}"
                wait_until(lambda: is_healthy(url))
                yield url, web.pid
            finally:
                web.terminate()

    def start(self) -> None:
        """Start the stack and wait until it is ready. `output` has the lines that it printed."""
        port = self.url.rsplit(":", 1)[1]
        with (self.var / "up.log").open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "up", "--port", port],
                cwd=ROOT,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        ready = threading.Event()
        threading.Thread(target=self._read, args=(self.process, ready), daemon=True).start()
        if not ready.wait(WAIT_S) or READY not in self.output[-1]:
            printed = "".join(self.output)
            raise AssertionError(f"the stack did not start: {printed}\n{self.log()}")

    def log(self) -> str:
        """The standard error of all its processes."""
        return (self.var / "up.log").read_text(errors="replace")

    def _read(self, process: subprocess.Popen[str], ready: threading.Event) -> None:
        # Read until the end: the stack would block when the pipe is full.
        for line in process.stdout or ():
            self.output.append(line)
            if READY in line:
                ready.set()
        ready.set()

    def stop(self) -> int:
        """Terminate the stack. Return the exit status."""
        if self._shell:
            self._shell.close()
            self._shell = None
        if self.process is None:
            return 0
        self.process.terminate()
        return self.process.wait(timeout=WAIT_S)

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another management command on the same data folder."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )

    def shell(self, code: str) -> str:
        """What the code prints, run with the application on the same data folder."""
        self._shell = self._shell or Shell(self.environment)
        return self._shell.run(code)

    def token(self, email: str) -> str:
        """A new API token. Create the user if there is none."""
        command = "from django.core.management import call_command\n"
        command += f"call_command('create_token', {email!r}, '--create-user')"
        return self.shell(command).strip()

    def limited_token(self, email: str, scope: str) -> str:
        """A new API token that permits only this. The user exists."""
        code = "from accounts.models import User\nfrom accounts.tokens import issue_token\n"
        code += f"user = User.objects.get(email={email!r})\n"
        return self.shell(code + f"print(issue_token(user, scopes=[{scope!r}])[1])").strip()


# Opens a WebSocket, on a busy machine too.
connect = partial(client.connect, open_timeout=WAIT_S)


def wait_until(condition: Callable[[], object], seconds: float = WAIT_S) -> None:
    """Wait for `condition`. Fail the test after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds:.0f} s")
        time.sleep(0.02)
