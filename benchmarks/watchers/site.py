"""The web process under test, and the recordings that it serves."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import psutil
import redis

ROOT = Path(__file__).parent.parent.parent
USERS, RECORDINGS = 4, 20
LIMITS = {
    "MAX_STREAMS_PER_USER": "100000",
    **{
        f"RATE_LIMIT_{name}": "1000000/minute"
        for name in ("PER_TOKEN", "PER_USER", "PER_ADDRESS", "PAGES")
    },
}
STARTUP_S = 60


class WebProcess:
    """Daphne as `manage.py up` starts it, without worker and beat."""

    def __init__(self, checkout: Path = ROOT) -> None:
        from transcodio_site.supervisor.ports import free_port

        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "transcodio_site.server", "--bind", "127.0.0.1"]
        self._popen = subprocess.Popen(
            [*command, "--port", str(self.port)], cwd=checkout, env=os.environ | LIMITS
        )
        self._process = psutil.Process(self._popen.pid)
        self._wait_until_healthy()

    def _wait_until_healthy(self) -> None:
        for _ in range(10 * STARTUP_S):
            try:
                if httpx.get(f"{self.url}/health", timeout=5).is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.1)
        raise RuntimeError("the web process did not start")

    def cpu_s(self) -> float:
        """CPU seconds so far, with the system's."""
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def megabytes(self) -> float:
        """Resident memory."""
        return float(self._process.memory_info().rss) / 2**20

    def stop(self) -> None:
        """Terminate the process."""
        self._popen.terminate()
        self._popen.wait(30)


def create_recordings(count: int = RECORDINGS) -> list[Any]:
    """Create recordings of several users that are being transcribed, each leased by this
    process."""
    from accounts.models import User
    from gpu.types import Metadata
    from transcriptions.models import State, Transcription
    from transcriptions.processing import lifecycle

    users = [User.objects.create_user(f"user{n}@example.com", "password") for n in range(USERS)]
    rows = []
    for number in range(count):
        created = Transcription.objects.create(
            owner=users[number % USERS],
            title=f"Recording {number}",
            source="recordings/none.source",
            source_bytes=9,
            audio="recordings/none.wav",
            state=State.PREPARED,
            duration=3600.0,
        )
        row = lifecycle.claim(created.id, State.TRANSCRIBING)
        assert row  # noqa: S101 - nobody else works on it
        lifecycle.mark_started(row, "scripted", Metadata("en", "scripted-1"))
        rows.append(row)
    return rows


def watch_requests(web: WebProcess, rows: list[Any], each: int) -> list[dict[str, Any]]:
    """The requests of the client: `each` SSE and as many WebSocket watchers, spread over the
    rows."""
    from django.conf import settings
    from django.test import Client

    from accounts.tokens import issue_token

    cookies, tokens = {}, {}
    for owner in {row.owner for row in rows}:
        browser = Client(HTTP_HOST="127.0.0.1")
        browser.force_login(owner)
        cookies[owner] = browser.cookies[settings.SESSION_COOKIE_NAME].value
        tokens[owner] = issue_token(owner)[1]
    host = f"Host: 127.0.0.1:{web.port}\r\n"
    watches = []
    for number in range(each):
        recording = number % len(rows)
        row = rows[recording]
        sse = (
            f"GET /api/transcriptions/{row.id}/events HTTP/1.1\r\n{host}"
            f"Authorization: Bearer {tokens[row.owner]}\r\n\r\n"
        )
        websocket = (
            f"GET /ws/transcriptions/{row.id}/ HTTP/1.1\r\n{host}Origin: {web.url}\r\n"
            f"Cookie: {settings.SESSION_COOKIE_NAME}={cookies[row.owner]}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        watches.append({"kind": "sse", "recording": recording, "request": sse})
        watches.append({"kind": "websocket", "recording": recording, "request": websocket})
    return watches


def valkey_connections() -> int:
    """The number of open connections, without this one."""
    from django.conf import settings

    with redis.Redis.from_url(settings.REDIS_URL) as client:
        return len(client.client_list()) - 1


def statements() -> int:
    """The number of SQL transactions so far; outside of transactions, each statement is one."""
    import psycopg
    from django.conf import settings

    from transcodio_site import embedded

    query = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = %s"
    with psycopg.connect(embedded.superuser_url(Path(settings.VAR_DIR)), dbname="postgres") as db:
        row = db.execute(query, [db_name()]).fetchone()
    return int(row[0]) if row else 0


def db_name() -> str:
    """The name of the database of the site."""
    from transcodio_site.embedded.access import DATABASE_NAME

    return DATABASE_NAME
