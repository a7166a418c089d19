"""Two machines that share nothing but servers, behind nginx: `make test-deploy`."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect
from websockets.typing import Origin

from transcodio_site.testing import ROOT, WAIT_S, Media, wait_until
from transcodio_site.tests.deployment import machines
from transcodio_site.tests.deployment.machines import Site
from transcodio_site.tests.deployment.servers import require_programs

pytestmark = pytest.mark.deploy

Event = dict[str, Any]
MEGABYTE = 1 << 20
RETRY_S = 0.2  # between two attempts of a client that was disconnected
PART = (
    b'--limit\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n'
    b"Content-Type: audio/wav\r\n\r\n"
)
SIGN_IN = """
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from accounts.models import User
user = User.objects.get(email={email!r})
session = SessionStore()
session[SESSION_KEY] = str(user.pk)
session[BACKEND_SESSION_KEY] = "allauth.account.auth_backends.AuthenticationBackend"
session[HASH_SESSION_KEY] = user.get_session_auth_hash()
session.save()
print(session.session_key)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The running site, in a folder that other users can enter."""
    require_programs()
    folder = Path(tempfile.mkdtemp(prefix="transcodio-open-"))
    try:
        with machines.site(folder) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def logs_of_failures(site: Site, request: pytest.FixtureRequest) -> Iterator[None]:
    """Print the logs of all processes after a failed test."""
    failed = request.session.testsfailed
    yield
    if request.session.testsfailed > failed:
        print("".join(machine.log() for machine in site.machines.values()))  # noqa: T201


class Follower(threading.Thread):
    """Receives all events of a recording, and connects again until it is complete."""

    def __init__(self, site: Site, transcription_id: str, cookie: str = "") -> None:
        super().__init__(daemon=True)
        self.site, self.id, self.cookie = site, transcription_id, cookie
        self.ids: list[int] = []
        self.connections = 0
        self.complete = threading.Event()
        self.start()

    def run(self) -> None:
        while not self.complete.is_set():
            with suppress(httpx.HTTPError, WebSocketException, OSError):
                for event in self.over_websocket() if self.cookie else self.over_sse():
                    self.ids.append(event["id"])
                    if event["type"] == "complete":
                        self.complete.set()
            time.sleep(RETRY_S)

    def over_sse(self) -> Iterator[Event]:
        path = f"/api/transcriptions/{self.id}/events"
        headers = {"Last-Event-ID": str(self.ids[-1])} if self.ids else {}
        with self.site.client() as client, client.stream("GET", path, headers=headers) as response:
            self.connections += response.status_code == 200
            for line in response.iter_lines():
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))

    def over_websocket(self) -> Iterator[Event]:
        url = self.site.url.replace("https", "wss") + f"/ws/transcriptions/{self.id}/"
        with connect(
            f"{url}?after={self.ids[-1]}" if self.ids else url,
            origin=Origin(self.site.url),
            additional_headers={"Cookie": f"sessionid={self.cookie}"},
            ssl=self.site.tls,
            proxy=None,
        ) as socket:
            self.connections += 1
            for message in socket:
                yield json.loads(message)


def session_cookie(site: Site) -> str:
    """The cookie of a signed-in browser."""
    script = SIGN_IN.format(email=machines.EMAIL)
    return site.manage("shell", "--verbosity", "0", "--command", script).splitlines()[-1]


def upload(site: Site, recording: Path) -> str:
    with site.client() as client, recording.open("rb") as file:
        response = client.post("/api/transcriptions", files={"file": (recording.name, file)})
    assert response.status_code == 202, response.text
    return str(response.json()["id"])


def transcript(site: Site, transcription_id: str) -> Event:
    """The transcript, from whichever web process is running."""
    with site.client() as client:
        response = client.get(f"/api/transcriptions/{transcription_id}")
    return dict(response.json()) if response.status_code == 200 else {"state": "unknown"}


def texts(row: Event) -> list[str]:
    return [segment["text"] for segment in row["segments"]]


def test_statements_of_web_processes_alone_are_limited(site: Site) -> None:
    """PgBouncer gives the limit to the connections of one database, and never to others."""
    for name, limit in (("transcodio_web", "10s"), ("transcodio", "0")):
        url = site.environment["DATABASE_URL"].replace("/transcodio?", f"/{name}?")
        with psycopg.connect(url) as connection:
            assert connection.execute("SHOW statement_timeout").fetchone() == (limit,)


@pytest.mark.covers("attack", "A server with a certificate of another authority poses as Valkey")
def test_valkey_as_the_broker_is_trusted_only_with_its_certificate(site: Site) -> None:
    script = (
        "from transcodio_site.celery import app; "
        "app.connection_for_write().ensure_connection(max_retries=1); print('connected')"
    )
    plain, _, _ = site.environment["REDIS_URL"].partition("?")
    outputs = [
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=ROOT,
            env=site.environment | {"BROKER_URL": url},
            capture_output=True,
            text=True,
            check=False,
        )
        for url in (site.environment["REDIS_URL"], plain)
    ]
    assert outputs[0].stdout == "connected\n", outputs[0].stderr
    assert outputs[1].stdout == ""
    assert "CERTIFICATE_VERIFY_FAILED" in outputs[1].stderr


def test_upload_of_100_megabytes_is_streamed(site: Site) -> None:
    sent = 0
    stored: list[Path] = []

    def body() -> Iterator[bytes]:
        nonlocal sent
        yield PART + wav_header(100 * MEGABYTE)
        while sent < 100 * MEGABYTE:
            yield bytes(MEGABYTE)
            sent += MEGABYTE
            stored.extend(path for path in site.buffers.rglob("*") if path.is_file())
        wait_until(lambda: written(site) - before > 50 * MEGABYTE)  # before it is complete
        yield b"\r\n--limit--\r\n"

    before = written(site)
    headers = {"Content-Type": "multipart/form-data; boundary=limit"}
    with site.client() as client:
        response = client.post("/api/transcriptions", content=body(), headers=headers)
        assert response.status_code == 202, response.text
        client.delete(f"/api/transcriptions/{response.json()['id']}").raise_for_status()
    assert sent == 100 * MEGABYTE
    assert stored == []


def wav_header(length: int) -> bytes:
    """The header of a stereo WAV file at 48 kHz with this many bytes of samples."""
    form = struct.pack("<4sI4s", b"RIFF", 36 + length, b"WAVE")
    samples = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 2, 48_000, 192_000, 4, 16)
    return form + samples + struct.pack("<4sI", b"data", length)


def written(site: Site) -> int:
    """Bytes that the web processes have written, which store a body while it arrives."""
    processes = [psutil.Process(m.processes["web"].pid) for m in site.machines.values()]
    return sum(process.io_counters().write_chars for process in processes)


@pytest.mark.covers("fault", "One of two machines is lost while it transcribes a recording")
@pytest.mark.covers("fault", "One of two web processes is killed while clients follow a recording")
def test_recording_survives_the_loss_of_a_machine(site: Site, media: Media) -> None:
    speech = media.speech("talk.mp3", 60)
    undisturbed = upload(site, speech)
    wait_until(lambda: transcript(site, undisturbed)["state"] == "completed")
    expected = texts(transcript(site, undisturbed))
    assert len(expected) > 10

    cookie = site.manage(
        "shell", "--verbosity", "0", "--command", SIGN_IN.format(email=machines.EMAIL)
    )
    disturbed = upload(site, speech)
    followers = [Follower(site, disturbed), Follower(site, disturbed, cookie.splitlines()[-1])]
    wait_until(lambda: all(len(follower.ids) > 1 for follower in followers))
    (site.faults / "hang").touch()  # so that it cannot be complete
    wait_until(lambda: not (site.faults / "hang").exists())
    assert transcript(site, disturbed)["state"] == "transcribing"  # the events were not buffered

    lost = site.worker_of(disturbed)
    site.machines[lost].kill()
    for follower in followers:
        assert follower.complete.wait(WAIT_S)
        assert follower.ids == list(range(len(expected) + 2))
    assert any(follower.connections > 1 for follower in followers)
    row = transcript(site, disturbed)
    assert (row["state"], texts(row)) == ("completed", expected)


def test_processes_end_when_they_are_terminated(site: Site) -> None:
    statuses = [machine.terminate() for machine in site.machines.values()]
    assert {status for machine in statuses for status in machine.values()} <= {0}
