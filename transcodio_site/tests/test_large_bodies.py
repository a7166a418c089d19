"""Bodies that are refused with the headers, by the running server."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from transcodio_site.testing import SAMPLE, WAIT_S, Stack, wait_until

MEGABYTE = 1 << 20
PREFIX = b"RIFF\xff\xff\xff\x7fWAVE"
Connect = Callable[[], socket.socket]


@pytest.fixture(scope="module")
def token(stack: Stack) -> str:
    return stack.token("admitted@example.com")


@pytest.fixture
def connect(stack: Stack) -> Iterator[Connect]:
    """A function that opens a connection to the stack, which the test closes."""
    with ExitStack() as connections:

        def connect() -> socket.socket:
            url = urlsplit(stack.url)
            connection = socket.create_connection((url.hostname, url.port), WAIT_S)
            return connections.enter_context(connection)

        yield connect


def head(line: str, *headers: str) -> bytes:
    """A request line and its headers."""
    return "\r\n".join([f"{line} HTTP/1.1", "Host: 127.0.0.1", *headers, "", ""]).encode()


def upload_head(token: str, *headers: str, path: str = "/api/transcriptions") -> bytes:
    """The head of an upload whose body is the recording."""
    bearer = f"Authorization: Bearer {token}"
    return head(f"POST {path}", bearer, "Content-Type: audio/wav", *headers)


def answer(connection: socket.socket) -> tuple[int, bytes, Any]:
    """Status, head and body of the response, read until the server closes its side."""
    data = b""
    while chunk := connection.recv(65536):
        data += chunk
    top, _, body = data.partition(b"\r\n\r\n")
    is_json = b"Content-Type: application/json" in top
    return int(top.split()[1]), top, json.loads(body) if is_json else body


def stored_bytes(stack: Stack) -> int:
    """The disk space of bodies that the web process has: named files and unlinked ones."""
    assert stack.process
    folder = str(stack.var / "tmp")
    found = {}
    for process in psutil.Process(stack.process.pid).children():
        for descriptor in Path(f"/proc/{process.pid}/fd").iterdir():
            try:
                if str(descriptor.readlink()).startswith(folder):
                    status = descriptor.stat()
                    found[status.st_ino] = status.st_blocks * 512
            except OSError:
                pass
    return sum(found.values())


REFUSED = {
    "no such page": ("POST /nowhere", 413, None),
    "health check": ("POST /health", 413, None),
    "sign-in page": ("POST /accounts/login/", 413, None),
    "other operation": ("POST /api/tokens", 413, "too_large"),
    "page with a body": ("GET /", 413, None),
    "upload without a token": ("POST /api/transcribe", 401, "not_authenticated"),
    "other method": ("PUT /api/transcribe", 413, "too_large"),
}


@pytest.mark.covers("attack", "A huge body for any address, without a token")
@pytest.mark.parametrize("name", REFUSED)
def test_large_body_that_is_no_upload_is_refused_with_the_headers(
    stack: Stack, connect: Connect, name: str
) -> None:
    line, expected, code = REFUSED[name]
    connection = connect()
    connection.sendall(head(line, "Content-Length: 2000000000", "X-Request-ID: mine"))
    status, top, body = answer(connection)  # nothing of the body has been sent
    assert status == expected
    assert b"X-Request-ID: mine" in top
    assert code is None or body["code"] == code
    assert stored_bytes(stack) == 0


@pytest.mark.covers("attack", "A huge body for the OpenAI-compatible API, without a valid token")
@pytest.mark.parametrize("path", ["/v1/audio/transcriptions", "/v1/audio/translations"])
def test_openai_upload_without_a_valid_token_is_refused_in_its_format(
    connect: Connect, path: str
) -> None:
    connection = connect()
    connection.sendall(upload_head("tk_unknown", "Content-Length: 2000000000", path=path))
    status, _, body = answer(connection)
    assert (status, body["error"]["code"]) == (401, "invalid_api_key")


@pytest.mark.covers("attack", "An upload with a token that may only read")
def test_upload_with_a_token_that_may_only_read_is_403(stack: Stack, connect: Connect) -> None:
    code = (
        "from accounts.models import User; from accounts.tokens import issue_token\n"
        "user = User.objects.create_user('reader@example.com', 'correct horse battery')\n"
        "print(issue_token(user, scopes=['transcriptions:read'])[1])"
    )
    token = stack.manage("shell", "--command", code).stdout.split()[-1]
    connection = connect()
    connection.sendall(upload_head(token, f"Content-Length: {6 * MEGABYTE}"))
    status, _, body = answer(connection)
    assert (status, body["code"]) == (403, "insufficient_scope")


@pytest.mark.covers("attack", "A chunked body without a token")
def test_chunked_body_without_a_token_is_refused_after_2_mb(stack: Stack, connect: Connect) -> None:
    connection = connect()
    connection.sendall(upload_head("tk_unknown", "Transfer-Encoding: chunked"))
    chunk = bytes(MEGABYTE)
    for _ in range(4):
        connection.sendall(b"%x\r\n%s\r\n" % (len(chunk), chunk))
    status, _, body = answer(connection)
    assert (status, body["code"]) == (401, "not_authenticated")
    assert stored_bytes(stack) == 0


@pytest.mark.parametrize("size", [MEGABYTE, 2 * MEGABYTE + 1, 3 * MEGABYTE])
def test_chunked_upload_with_a_token_is_accepted(token: str, stack: Stack, size: int) -> None:
    recording = PREFIX + bytes(size - len(PREFIX))
    bearer = {"Authorization": f"Bearer {token}"}
    response = httpx.post(
        f"{stack.url}/api/transcriptions",
        content=iter([recording]),
        headers=bearer | {"Content-Type": "audio/wav"},
    )
    assert response.status_code == 202
    location = f"{stack.url}{response.headers['Location']}"
    assert httpx.get(f"{location}/audio", headers=bearer).content == recording


def test_client_that_expects_continue_is_told_to_send(token: str, connect: Connect) -> None:
    connection = connect()
    size = 3 * MEGABYTE
    expect = ("Expect: 100-continue", "Connection: close")
    connection.sendall(upload_head(token, f"Content-Length: {size}", *expect))
    assert connection.recv(1024).startswith(b"HTTP/1.1 100 Continue")
    connection.sendall(PREFIX + bytes(size - len(PREFIX)))
    assert answer(connection)[0] == 202


@pytest.mark.covers("attack", "An upload without a token that waits for 100 Continue")
def test_refused_client_is_not_told_to_send(connect: Connect) -> None:
    connection = connect()
    expect = "Expect: 100-continue"
    connection.sendall(upload_head("tk_unknown", f"Content-Length: {3 * MEGABYTE}", expect))
    assert answer(connection)[0] == 401  # and no 100 before it


@pytest.mark.covers("attack", "Requests that are pipelined behind a refused body")
def test_requests_behind_a_refused_body_are_not_answered(connect: Connect) -> None:
    connection = connect()
    refused = head("POST /health", f"Content-Length: {3 * MEGABYTE}")
    connection.sendall(refused + head("GET /health") + head("GET /health"))
    status, _, body = answer(connection)
    assert status == 413
    assert b"healthy" not in body


def test_session_may_upload(stack: Stack) -> None:
    with httpx.Client(base_url=stack.url, timeout=WAIT_S) as page:
        page.get("/accounts/signup/")
        form = {"email": "page@example.com"} | dict.fromkeys(
            ("password1", "password2"), "correct horse battery"
        )
        csrf = {"csrfmiddlewaretoken": page.cookies["csrftoken"]}
        assert page.post("/accounts/signup/", data=form | csrf).status_code == 302
        file = {"file": ("large.wav", PREFIX + bytes(3 * MEGABYTE))}
        headers = {"X-CSRFToken": page.cookies["csrftoken"]}
        response = page.post("/api/transcriptions", files=file, headers=headers)
        assert response.status_code == 202
        response = page.post("/api/transcriptions", files=file)
        assert (response.status_code, response.json()["code"]) == (403, "forbidden")
        page.cookies.delete("sessionid")
        response = page.post("/api/transcriptions", files=file, headers=headers)
        assert (response.status_code, response.json()["code"]) == (401, "not_authenticated")


@pytest.mark.covers("attack", "Parallel slow uploads without a token")
def test_slow_uploads_without_a_token_keep_no_disk_space_from_users(
    stack: Stack, token: str, connect: Connect
) -> None:
    for number in range(24):
        path = ("/nowhere", "/health", "/api/transcribe", "/accounts/login/")[number % 4]
        connect().sendall(head(f"POST {path}", "Content-Length: 150000000") + bytes(64 * 1024))
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "audio/ogg"}
    response = httpx.post(
        f"{stack.url}/api/transcriptions", content=SAMPLE.read_bytes(), headers=headers
    )
    assert response.status_code == 202
    wait_until(lambda: stored_bytes(stack) == 0)
    assert httpx.get(f"{stack.url}/health").status_code == 200


@pytest.mark.covers("attack", "More parallel uploads of one account than allowed")
def test_parallel_uploads_of_one_user_are_limited(
    stack: Stack, token: str, connect: Connect
) -> None:
    announced = upload_head(token, f"Content-Length: {3 * MEGABYTE}")
    uploads = [connect() for _ in range(6)]
    for number, upload in enumerate(uploads):
        upload.sendall(announced + bytes(256 * 1024))
        wait_until(lambda n=number: stored_bytes(stack) >= (n + 1) * 128 * 1024)
    refused = connect()
    refused.sendall(announced)
    status, top, body = answer(refused)
    assert (status, body["code"]) == (429, "too_many_uploads")
    assert b"Retry-After: 10" in top
    for upload in uploads:
        upload.close()
    wait_until(lambda: stored_bytes(stack) == 0)
    size = 3 * MEGABYTE
    again = connect()
    again.sendall(upload_head(token, f"Content-Length: {size}", "Connection: close"))
    again.sendall(PREFIX + bytes(size - len(PREFIX)))
    assert answer(again)[0] == 202


@pytest.mark.covers("attack", "Many medium bodies from one address")
def test_unauthenticated_bodies_of_one_address_are_limited(stack: Stack, connect: Connect) -> None:
    announced = head("POST /health", f"Content-Length: {MEGABYTE}")
    for _ in range(20):
        connect().sendall(announced + bytes(256 * 1024))
    wait_until(lambda: stored_bytes(stack) >= 20 * 128 * 1024)
    refused = connect()
    refused.sendall(announced + bytes(256 * 1024))
    status, _, body = answer(refused)
    assert (status, body["code"]) == (429, "too_many_uploads")
