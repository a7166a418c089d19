"""The service under test: its processes, its API, and its stored data."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

from transcodio_site.embedded.postgres import Postgres
from transcodio_site.embedded.server import Server
from transcodio_site.embedded.valkey import Valkey
from transcodio_site.testing import ROOT, Stack, wait_until

EMAIL = "chaos@example.com"
PASSWORD = "correct horse battery"  # noqa: S105
RETRY_S = 0.5  # between two attempts of a client that was disconnected
# Parts of the command lines of processes.
PROCESSES = {
    "web": "transcodio_site.server",
    "worker": "transcodio_site --quiet worker",
    "beat": "transcodio_site --quiet beat",
}
SERVERS: dict[str, type[Server]] = {"postgres": Postgres, "valkey": Valkey}
STORED = (ROOT / "benchmarks" / "chaos" / "stored.py").read_text()
# At an age that all files have, even if a fault has moved the clock.
SWEEP = """
from datetime import timedelta
from transcriptions.operations import orphaned_files
orphaned_files.MIN_AGE = timedelta(days=-2)
orphaned_files.delete_orphaned_files()
"""
# Leases end by the clock of the database.
MOVE_LEASES = """
from datetime import timedelta
from django.db.models import F
from transcriptions.models.progress import Progress
leased = Progress.objects.filter(lease_until__isnull=False)
leased.update(lease_until=F("lease_until") - timedelta(hours={hours}))
"""

# Longer than a cold start, and shorter than the default, which would take a quarter of an hour.
SILENCE_S = 150
DISK_BYTES = 700 << 20


class ChaosStack(Stack):
    """`manage.py up` with the engine of the tests, and otherwise with default settings. Its disk
    can be filled if a small one can be mounted, which requires root.
    """

    def __init__(self, var: Path) -> None:
        super().__init__(var)
        self.has_own_disk = self._mount_disk()

    def _mount_disk(self) -> bool:
        options = f"size={DISK_BYTES},mode=0700"
        command = ["mount", "-t", "tmpfs", "-o", options, "transcodio", str(self.var)]
        return os.geteuid() == 0 and subprocess.run(command, check=False).returncode == 0

    def close(self) -> None:
        """Stop the stack and remove its disk."""
        self.stop()
        if self.has_own_disk:
            subprocess.run(["umount", "--lazy", str(self.var)], check=True)

    @property
    def environment(self) -> dict[str, str]:
        """See `Stack`."""
        faults = self.var / "faults"
        faults.mkdir(exist_ok=True)
        environment = super().environment | {
            "DETERMINISTIC_ENGINE": str(faults),
            "ENGINE_SILENCE_SECONDS": str(SILENCE_S),
        }
        del environment["LEASE_SECONDS"]  # the default is under test
        return environment


class Site:
    """A running stack and one user."""

    def __init__(self, stack: ChaosStack) -> None:
        self.stack = stack
        self.token = stack.token(EMAIL)
        script = (
            "from accounts.models import User; "
            f"user = User.objects.get(email={EMAIL!r}); user.set_password({PASSWORD!r}); "
            "user.save()"
        )
        stack.manage("shell", "--command", script)
        self.sign_in = threading.Lock()
        self.cookie = ""
        self.clock_hours = 0
        self.client = httpx.Client(
            base_url=stack.url, headers={"Authorization": f"Bearer {self.token}"}, timeout=30
        )

    # --- Processes ----------------------------------------------------------------------------

    def processes(self, name: str) -> list[psutil.Process]:
        """The running processes of this name, children of the supervisor or left by a dead one."""
        if name in SERVERS:
            server = SERVERS[name](self.stack.var).running()
            return [server] if server else []
        return [
            process
            for process in psutil.process_iter(["cmdline"])
            if PROCESSES[name] in " ".join(process.info["cmdline"] or []) and self._is_ours(process)
        ]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return bool(process.environ().get("VAR_DIR") == str(self.stack.var))
        except psutil.Error:
            return False

    def kill(self, name: str) -> bool:
        """Kill a process like `kill -9`. Return whether there was one."""
        processes = self.processes(name)
        for process in processes:
            with suppress(psutil.NoSuchProcess):  # it has just ended
                process.kill()
        return bool(processes)

    def ask_for(self, fault: str, content: str = "") -> None:
        """Let the engine or the storage fail once: see `deterministic_engine`."""
        file = self.stack.var / "faults" / fault
        file.with_suffix(".new").write_text(content)
        file.with_suffix(".new").replace(file)

    def move_clock(self, hours: int) -> None:
        """Change the clock of all Python processes, and of the database in relation to leases."""
        self.clock_hours += hours
        self.ask_for("clock", str(3600 * self.clock_hours))
        self.stack.manage("shell", "--command", MOVE_LEASES.format(hours=hours))

    # --- A program that uses the API ------------------------------------------------------------

    def upload(self, recording: Path, key: str) -> str:
        """Upload a recording and return its id. Repeated until it succeeds, as recommended to
        clients."""
        return str(self._until_answered(lambda: self._upload(recording, key), {202}).json()["id"])

    def _upload(self, recording: Path, key: str) -> httpx.Response:
        with recording.open("rb") as file:
            return self.client.post(
                "/api/transcriptions",
                files={"file": (recording.name, file)},
                headers={"Idempotency-Key": key},
            )

    def retry(self, transcription_id: str) -> None:
        """Resume a failed transcription."""
        path = f"/api/transcriptions/{transcription_id}/retry"
        self._until_answered(lambda: self.client.post(path), {202, 409})

    def transcript(self, transcription_id: str) -> dict[str, Any]:
        """The transcription with its segments."""
        path = f"/api/transcriptions/{transcription_id}"
        return dict(self._until_answered(lambda: self.client.get(path), {200}).json())

    def delete_recordings(self) -> None:
        """Empty the library."""
        for row in self.client.get("/api/transcriptions").json()["items"]:
            self.client.delete(f"/api/transcriptions/{row['id']}").raise_for_status()

    @staticmethod
    def _until_answered(send: Callable[[], httpx.Response], statuses: set[int]) -> httpx.Response:
        answers: list[httpx.Response] = []

        def is_answered() -> bool:
            try:
                answers.append(send())
            except httpx.TransportError:
                time.sleep(RETRY_S)
                return False
            if answers[-1].status_code not in statuses:
                time.sleep(RETRY_S)
            return answers[-1].status_code in statuses

        wait_until(is_answered)
        return answers[-1]

    def session_cookie(self) -> str:
        """A Cookie header of the signed-in user. Raises httpx.HTTPError."""
        with self.sign_in:
            if not self.cookie:
                self.cookie = self._sign_in()
        return self.cookie

    def _sign_in(self) -> str:
        with httpx.Client(base_url=self.stack.url, timeout=30) as browser:
            page = browser.get("/accounts/login/").raise_for_status().text
            token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
            form = {"login": EMAIL, "password": PASSWORD}
            form["csrfmiddlewaretoken"] = token[1] if token else ""
            browser.post("/accounts/login/", data=form)
            if "sessionid" not in browser.cookies:
                raise httpx.HTTPError("not signed in")
            return f"sessionid={browser.cookies['sessionid']}"

    # --- What is stored ---------------------------------------------------------------------------

    def stored(self) -> dict[str, Any]:
        """Rows, charges and files: see `stored.py`."""
        result = self.stack.manage("shell", "--command", STORED)
        try:
            return dict(json.loads(result.stdout.splitlines()[-1]))
        except (IndexError, ValueError):
            raise RuntimeError(f"{result.stdout}\n{result.stderr}") from None

    def delete_orphaned_files(self) -> None:
        """Delete files without a recording, as the service does after a day."""
        self.stack.manage("shell", "--command", SWEEP)
