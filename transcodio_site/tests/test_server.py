"""Large uploads: early refusal, constant memory, and no temporary files afterwards."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from transcodio_site.supervisor import free_port, is_healthy
from transcodio_site.testing import ROOT, SAMPLE, WAIT_S, Media, Stack, wait_until

MEGABYTE = 1 << 20
BOUNDARY = "frontier"
PART = (
    f"--{BOUNDARY}\r\nContent-Disposition: form-data; "
    'name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n'
).encode()


@pytest.fixture(scope="module")
def token(stack: Stack) -> str:
    return stack.token("uploader@example.com")


@pytest.fixture
def connection(stack: Stack) -> Iterator[socket.socket]:
    with socket.create_connection(
        (urlsplit(stack.url).hostname, urlsplit(stack.url).port)
    ) as client:
        client.settimeout(WAIT_S)
        yield client


def head(token: str, *lines: str) -> bytes:
    """The request line and the headers of an upload."""
    common = [
        "POST /api/transcriptions HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: Bearer {token}",
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}",
    ]
    return "\r\n".join([*common, *lines, "", ""]).encode()


def read_response(connection: socket.socket) -> tuple[int, dict[str, str]]:
    """Status and body of the response, read until the server closes its side."""
    data = b""
    while chunk := connection.recv(65536):
        data += chunk
    top, _, body = data.partition(b"\r\n\r\n")
    return int(top.split()[1]), json.loads(body)


def temporary_files(stack: Stack) -> set[str]:
    """Temporary files of the web server, including open files that are unlinked. Those of jobs are
    left out: the worker may still be busy with jobs of earlier tests."""
    folder = stack.var / "tmp"
    files = {str(path) for path in folder.iterdir() if not path.name.startswith("job-")}
    assert stack.process
    for process in psutil.Process(stack.process.pid).children():
        if "transcodio_site.server" in process.cmdline():
            for descriptor in Path(f"/proc/{process.pid}/fd").iterdir():
                with suppress(OSError):
                    files.add(str(descriptor.readlink()))
    return {file for file in files if file.startswith(str(folder))}


@pytest.fixture
def files_before(stack: Stack) -> set[str]:
    """Temporary files of requests that earlier tests have abandoned."""
    return temporary_files(stack)


@pytest.mark.covers("attack", "An upload that announces more than the largest file")
def test_too_large_content_length_is_413_before_the_body(
    stack: Stack, token: str, connection: socket.socket
) -> None:
    connection.sendall(head(token, f"Content-Length: {20 * MEGABYTE}"))
    status, body = read_response(connection)  # no part of the file has been sent
    assert (status, body["code"]) == (413, "file_too_large")
    assert "larger than 8 MB" in body["detail"]


def test_trailing_slash_accepts_large_bodies(stack: Stack, token: str, media: Media) -> None:
    with media.bytes("zeros.mp3", bytes(4 * MEGABYTE)).open("rb") as file:
        response = httpx.post(
            f"{stack.url}/v1/audio/transcriptions/",
            files={"file": file},
            headers={"X-API-Key": token},
        )
    assert response.status_code == 415  # it has arrived, but is not a recording


@pytest.mark.covers("fault", "The disk is full while an upload arrives")
@pytest.mark.parametrize("chunk", [None, 1000])  # small chunks are buffered before they are written
def test_body_on_full_disk_is_507(
    stack: Stack, token: str, media: Media, chunk: int | None
) -> None:
    port = free_port()
    command = f"ulimit -f 2048; exec {sys.executable} -m transcodio_site.server --port {port}"
    with subprocess.Popen(["sh", "-c", command], cwd=ROOT, env=stack.environment) as web:
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until(lambda: is_healthy(url))
            headers = {"Authorization": f"Bearer {token}", "X-Request-ID": "mine"}
            files = {"file": media.bytes("big.mp3", bytes(4 * MEGABYTE)).read_bytes()}
            request = httpx.Request("POST", f"{url}/api/transcribe", files=files, headers=headers)
            if chunk:
                body = request.read()
                headers["Content-Type"] = request.headers["Content-Type"]
                parts = (body[at : at + chunk] for at in range(0, len(body), chunk))
                request = httpx.Request("POST", request.url, content=parts, headers=headers)
            with httpx.Client() as client:
                response = client.send(request)
        finally:
            web.terminate()
    assert (response.status_code, response.json()["code"]) == (507, "disk_full")
    assert response.headers["X-Request-ID"] == "mine"


@pytest.mark.covers("attack", "A chunked upload that never ends")
def test_chunked_body_larger_than_limit_is_413(
    stack: Stack, token: str, connection: socket.socket, files_before: set[str]
) -> None:
    connection.sendall(head(token, "Transfer-Encoding: chunked"))
    chunk = bytes(256 * 1024)
    sent = 0
    connection.sendall(b"%x\r\n%s\r\n" % (len(PART), PART))
    # Far more than the limit: the client keeps sending after the refusal.
    while sent < 64 * MEGABYTE:
        connection.sendall(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        sent += len(chunk)
    status, body = read_response(connection)
    assert (status, body["code"]) == (413, "file_too_large")
    wait_until(lambda: not temporary_files(stack) - files_before)


@pytest.mark.covers("fault", "The client disconnects in the middle of an upload")
def test_disconnected_upload_leaves_no_temporary_file(
    stack: Stack, token: str, connection: socket.socket, files_before: set[str]
) -> None:
    connection.sendall(head(token, f"Content-Length: {6 * MEGABYTE}") + PART + bytes(4 * MEGABYTE))
    wait_until(lambda: temporary_files(stack) - files_before)
    connection.close()
    wait_until(lambda: not temporary_files(stack) - files_before)
    assert httpx.get(f"{stack.url}/health").status_code == 200


@pytest.mark.parametrize("kind", ["accepted", "refused"])
def test_finished_upload_leaves_no_temporary_file(
    stack: Stack, token: str, media: Media, files_before: set[str], kind: str
) -> None:
    path = (
        media.silence("silence.wav", 60)
        if kind == "accepted"
        else media.bytes("big.mp3", b"x" * (6 * MEGABYTE))
    )
    with path.open("rb") as file:
        response = httpx.post(
            f"{stack.url}/api/transcriptions",
            files={"file": file},
            headers={"Authorization": f"Bearer {token}"},
            timeout=WAIT_S,
        )
    assert response.status_code == (202 if kind == "accepted" else 415)
    wait_until(lambda: not temporary_files(stack) - files_before)


def test_forms_work_on_persistent_connection(stack: Stack) -> None:
    with httpx.Client(base_url=stack.url) as page:
        for _ in range(3):
            page.get("/accounts/login/")
            form = {"login": "nobody@example.com", "password": "wrong"}
            csrf = {"csrfmiddlewaretoken": page.cookies["csrftoken"]}
            response = page.post("/accounts/login/", data=form | csrf)
            assert response.status_code == 200
            assert "Incorrect email address or password." in response.text


@pytest.fixture
def second_server(stack: Stack) -> Iterator[tuple[str, int]]:
    """A new web process that accepts larger files: URL and process id."""
    limits = {"MAX_FILE_SIZE_MB": "500", "DATABASE_POOL_SIZE": "2", "LOG_LEVEL": "ERROR"}
    with stack.another_web(**limits) as server:
        yield server


@pytest.mark.slow
def test_large_files_hold_no_memory_and_no_database_connections(
    second_server: tuple[str, int], token: str, tmp_path: Path
) -> None:
    url, pid = second_server
    big = tmp_path / "big.wav"
    with big.open("wb") as file:
        file.write(b"RIFF\xff\xff\xff\x7fWAVE")
        file.truncate(200 * MEGABYTE)
    before = peak_memory(pid)
    bearer = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=url, headers=bearer, timeout=WAIT_S) as client, ExitStack() as slow:
        with big.open("rb") as file:
            response = client.post("/api/transcriptions", files={"file": file})
        assert response.status_code == 202
        audio = f"{response.headers['Location']}/audio"
        for _ in range(3):  # more than there are database connections, all unfinished
            body = slow.enter_context(httpx.stream("GET", url + audio, headers=bearer)).iter_raw()
            assert next(body)
        with client.stream("GET", audio) as download:
            read = sum(len(chunk) for chunk in download.iter_raw())
    assert read == big.stat().st_size
    assert peak_memory(pid) - before < 40 * MEGABYTE
    assert httpx.get(f"{url}/health").status_code == 200


@pytest.mark.slow
def test_open_event_streams_hold_no_threads(
    second_server: tuple[str, int], token: str, stack: Stack
) -> None:
    url, pid = second_server
    bearer = {"Authorization": f"Bearer {token}"}
    response = httpx.post(
        f"{url}/api/transcriptions",
        content=SAMPLE.read_bytes(),
        headers=bearer | {"Content-Type": "audio/ogg"},
    )
    events = f"{url}{response.headers['Location']}/events"
    web = psutil.Process(pid)
    before = web.num_threads()
    with stack.hold(), ExitStack() as pages:
        lines = []
        for _ in range(25):
            page = httpx.stream("GET", events, headers=bearer, timeout=WAIT_S)
            lines.append(pages.enter_context(page).iter_lines())
        assert {next(each) for each in lines} == {"retry: 2000"}
        wait_until(lambda: web.num_threads() < before + 15)  # while the recording is held
        assert [next(line for line in each if line.startswith("event")) for each in lines]
        httpx.delete(f"{url}{response.headers['Location']}", headers=bearer)


@pytest.mark.slow
def test_waiting_request_does_not_delay_shutdown(
    second_server: tuple[str, int], token: str, stack: Stack
) -> None:
    url, pid = second_server
    bearer = {"Authorization": f"Bearer {token}"}
    library = f"{url}/api/transcriptions?limit=1"

    def newest() -> str:
        return str(httpx.get(library, headers=bearer).json()["items"][:1])

    before = newest()
    web = psutil.Process(pid)
    with stack.hold(), ThreadPoolExecutor() as threads:
        waiting = threads.submit(
            httpx.post,
            f"{url}/api/transcribe",
            content=SAMPLE.read_bytes(),
            headers=bearer | {"Content-Type": "audio/ogg"},
            timeout=WAIT_S,
        )
        wait_until(lambda: newest() != before)
        web.terminate()
        wait_until(lambda: web.status() == psutil.STATUS_ZOMBIE)  # while the transcript is held
        assert isinstance(waiting.exception(), httpx.RemoteProtocolError)


def peak_memory(pid: int) -> int:
    """The peak resident memory of a process in bytes."""
    match = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert match
    return int(match[1]) * 1024


def test_history_has_the_upload_phase(stack: Stack, token: str, media: Media) -> None:
    response = httpx.post(
        f"{stack.url}/api/transcriptions",
        content=media.silence("history.mp3", 1).read_bytes(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "audio/mpeg"},
    )
    code = (
        "from transcriptions.models import Step\n"
        f"first, second = Step.objects.filter(transcription='{response.json()['id']}')[:2]\n"
        "seconds = (second.started_at - first.started_at).total_seconds()\n"
        "print(first.phase, second.phase, 0 < seconds)"
    )
    assert stack.shell(code) == "upload queue True\n"
