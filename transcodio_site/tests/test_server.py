"""Large uploads: refused early, never held in memory, and nothing of them left behind."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
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
    ) as open_:
        open_.settimeout(WAIT_S)
        yield open_


def head(token: str, *lines: str) -> bytes:
    """The beginning of an upload."""
    fixed = [
        "POST /api/transcriptions HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: Bearer {token}",
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}",
    ]
    return "\r\n".join([*fixed, *lines, "", ""]).encode()


def answer_of(connection: socket.socket) -> tuple[int, dict[str, str]]:
    """Status and body of the answer, read until the server closes its side."""
    data = b""
    while piece := connection.recv(65536):
        data += piece
    top, _, body = data.partition(b"\r\n\r\n")
    return int(top.split()[1]), json.loads(body)


def leftovers(stack: Stack) -> list[Path]:
    return list((stack.var / "tmp").iterdir())


def test_an_honest_client_is_refused_before_it_sends(
    stack: Stack, token: str, connection: socket.socket
) -> None:
    connection.sendall(head(token, f"Content-Length: {20 * MEGABYTE}"))
    status, body = answer_of(connection)  # not a byte of the file has been sent
    assert (status, body["code"]) == (413, "file_too_large")
    assert "larger than 8 MB" in body["detail"]


def test_a_body_without_room_on_the_disk_is_refused_with_a_sentence(
    stack: Stack, token: str, media: Media
) -> None:
    port = free_port()
    small = f"ulimit -f 2048; exec {sys.executable} -m transcodio_site.server --port {port}"
    with subprocess.Popen(["sh", "-c", small], cwd=ROOT, env=stack.environment) as web:
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until(lambda: is_healthy(url))
            headers = {"Authorization": f"Bearer {token}", "X-Request-ID": "mine"}
            file = media.bytes("big.mp3", bytes(4 * MEGABYTE)).open("rb")
            with file:
                answer = httpx.post(f"{url}/api/transcribe", files={"file": file}, headers=headers)
        finally:
            web.terminate()
    assert (answer.status_code, answer.json()["code"]) == (507, "disk_full")
    assert answer.headers["X-Request-ID"] == "mine"


def test_a_client_that_does_not_say_its_length_is_cut_off_at_the_limit(
    stack: Stack, token: str, connection: socket.socket
) -> None:
    connection.sendall(head(token, "Transfer-Encoding: chunked"))
    piece = bytes(256 * 1024)
    sent = 0
    connection.sendall(b"%x\r\n%s\r\n" % (len(PART), PART))
    while sent < 64 * MEGABYTE:  # far more than the limit: it keeps sending while it is refused
        connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        sent += len(piece)
    status, body = answer_of(connection)
    assert (status, body["code"]) == (413, "file_too_large")
    wait_until(lambda: leftovers(stack) == [])


def test_a_client_that_goes_away_leaves_nothing(
    stack: Stack, token: str, connection: socket.socket
) -> None:
    connection.sendall(head(token, f"Content-Length: {6 * MEGABYTE}") + PART + bytes(4 * MEGABYTE))
    wait_until(lambda: leftovers(stack) != [] or has_unlinked_body(stack))
    connection.close()
    wait_until(lambda: leftovers(stack) == [] and not has_unlinked_body(stack))
    assert httpx.get(f"{stack.url}/health").status_code == 200


def has_unlinked_body(stack: Stack) -> bool:
    """Whether a process of the stack holds a temporary file that has no name any more."""
    import psutil

    assert stack.process
    for process in psutil.Process(stack.process.pid).children():
        for descriptor in Path(f"/proc/{process.pid}/fd").iterdir():
            try:
                if str(descriptor.readlink()).startswith(str(stack.var / "tmp")):
                    return True
            except OSError:
                pass
    return False


@pytest.mark.parametrize("kind", ["taken", "refused"])
def test_no_temporary_file_stays(stack: Stack, token: str, media: Media, kind: str) -> None:
    path = (
        media.silence("silence.wav", 60)
        if kind == "taken"
        else media.bytes("big.mp3", b"x" * (6 * MEGABYTE))
    )
    with path.open("rb") as file:
        answer = httpx.post(
            f"{stack.url}/api/transcriptions",
            files={"file": file},
            headers={"Authorization": f"Bearer {token}"},
            timeout=WAIT_S,
        )
    assert answer.status_code == (202 if kind == "taken" else 415)
    wait_until(lambda: leftovers(stack) == [])


def test_small_forms_and_kept_connections_work(stack: Stack) -> None:
    with httpx.Client(base_url=stack.url) as page:
        for _ in range(3):
            page.get("/accounts/login/")
            form = {"login": "nobody@example.com", "password": "wrong"}
            csrf = {"csrfmiddlewaretoken": page.cookies["csrftoken"]}
            answer = page.post("/accounts/login/", data=form | csrf)
            assert answer.status_code == 200
            assert "not correct" in answer.text


@pytest.fixture
def roomy(stack: Stack) -> Iterator[tuple[str, int]]:
    """A web process that takes larger files, and nothing was asked of yet: address and pid."""
    port = free_port()
    environment = stack.environment | {
        "MAX_FILE_SIZE_MB": "500",
        "DATABASE_POOL_SIZE": "2",
        "LOG_LEVEL": "ERROR",
    }
    command = [sys.executable, "-m", "transcodio_site.server", "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, env=environment) as web:
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until(lambda: is_healthy(url))
            yield url, web.pid
        finally:
            web.terminate()


def test_neither_memory_nor_connections_are_held_while_large_files_are_on_their_way(
    roomy: tuple[str, int], token: str, tmp_path: Path
) -> None:
    url, pid = roomy
    big = tmp_path / "big.wav"
    with big.open("wb") as file:
        file.write(b"RIFF\xff\xff\xff\x7fWAVE")
        file.truncate(200 * MEGABYTE)
    before = peak(pid)
    bearer = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=url, headers=bearer, timeout=WAIT_S) as client, ExitStack() as slow:
        with big.open("rb") as file:
            answer = client.post("/api/transcriptions", files={"file": file})
        assert answer.status_code == 202
        audio = f"{answer.headers['Location']}/audio"
        for _ in range(3):  # more than there are connections; and they take their time
            body = slow.enter_context(httpx.stream("GET", url + audio, headers=bearer)).iter_raw()
            assert next(body)
        with client.stream("GET", audio) as response:
            read = sum(len(piece) for piece in response.iter_raw())
    assert read == big.stat().st_size
    assert peak(pid) - before < 40 * MEGABYTE
    assert httpx.get(f"{url}/health").status_code == 200


def test_open_streams_hold_no_threads(roomy: tuple[str, int], token: str, stack: Stack) -> None:
    url, pid = roomy
    bearer = {"Authorization": f"Bearer {token}"}
    answer = httpx.post(
        f"{url}/api/transcriptions",
        content=SAMPLE.read_bytes(),
        headers=bearer | {"Content-Type": "audio/ogg"},
    )
    events = f"{url}{answer.headers['Location']}/events"
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
        httpx.delete(f"{url}{answer.headers['Location']}", headers=bearer)


def test_who_waits_for_a_transcript_does_not_hold_up_the_end(
    roomy: tuple[str, int], token: str, stack: Stack
) -> None:
    url, pid = roomy
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


def peak(pid: int) -> int:
    """The most memory that a process has ever held, in bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) * 1024


def test_the_time_of_the_upload_is_part_of_the_history(
    stack: Stack, token: str, media: Media
) -> None:
    answer = httpx.post(
        f"{stack.url}/api/transcriptions",
        content=media.silence("history.mp3", 1).read_bytes(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "audio/mpeg"},
    )
    question = (
        "from transcriptions.models import Step\n"
        f"first, second = Step.objects.filter(transcription='{answer.json()['id']}')[:2]\n"
        "print(first.phase, second.phase, 0 < (second.began_at - first.began_at).total_seconds())"
    )
    assert stack.manage("shell", "--command", question).stdout.endswith("upload queue True\n")
