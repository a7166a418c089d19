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


def stored_bodies(stack: Stack) -> list[int]:
    """The sizes of all bodies that the web process has on disk. Their files have no names."""
    assert stack.process
    children = psutil.Process(stack.process.pid).children()
    web = next(c for c in children if "transcodio_site.server" in " ".join(c.cmdline()))
    sizes = {}
    for descriptor in Path(f"/proc/{web.pid}/fd").iterdir():
        try:
            if str(descriptor.readlink()).startswith(str(stack.var / "tmp")):
                sizes[descriptor.stat().st_ino] = descriptor.stat().st_size
        except OSError:
            pass  # closed meanwhile
    return list(sizes.values())


def wait_until_stored(stack: Stack, size: int) -> None:
    """Wait until at least `size` bytes of bodies are on disk."""
    wait_until(lambda: sum(stored_bodies(stack)) >= size)


def wait_until_bodies_are_stored(stack: Stack, count: int) -> None:
    """Wait until a part of each of `count` bodies is on disk."""
    wait_until(lambda: len(stored_bodies(stack)) >= count)


def wait_until_nothing_is_stored(stack: Stack) -> None:
    """Wait until no body is on disk."""
    wait_until(lambda: stored_bodies(stack) == [])


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
    wait_until_nothing_is_stored(stack)


@pytest.mark.covers("attack", "A huge body for the OpenAI-compatible API, without a valid token")
@pytest.mark.parametrize("path", ["/v1/audio/transcriptions", "/v1/audio/translations"])
def test_openai_upload_without_a_valid_token_is_refused_in_its_format(
    connect: Connect, path: str
) -> None:
    connection = connect()
    connection.sendall(upload_head("tk_unknown", "Content-Length: 2000000000", path=path))
    status, _, body = answer(connection)
    assert (status, body["error"]["code"]) == (401, "invalid_api_key")


@pytest.mark.covers("attack", "A chunked body without a token")
def test_chunked_body_without_a_token_is_refused_after_2_mb(stack: Stack, connect: Connect) -> None:
    connection = connect()
    connection.sendall(upload_head("tk_unknown", "Transfer-Encoding: chunked"))
    chunk = bytes(MEGABYTE)
    for _ in range(4):
        connection.sendall(b"%x\r\n%s\r\n" % (len(chunk), chunk))
    status, _, body = answer(connection)
    assert (status, body["code"]) == (401, "not_authenticated")
    wait_until_nothing_is_stored(stack)


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
        connect().sendall(head(f"POST {path}", "Content-Length: 150000000") + bytes(MEGABYTE))
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "audio/ogg"}
    response = httpx.post(
        f"{stack.url}/api/transcriptions", content=SAMPLE.read_bytes(), headers=headers
    )
    assert response.status_code == 202
    wait_until_nothing_is_stored(stack)  # while all of them are connected
    assert httpx.get(f"{stack.url}/health").status_code == 200


@pytest.mark.covers("attack", "More parallel uploads of one account than allowed")
def test_parallel_uploads_of_one_user_are_limited(
    stack: Stack, token: str, connect: Connect
) -> None:
    announced = upload_head(token, f"Content-Length: {3 * MEGABYTE}")
    uploads = [connect() for _ in range(6)]
    for number, upload in enumerate(uploads):
        upload.sendall(announced + bytes(256 * 1024))
        wait_until_bodies_are_stored(stack, number + 1)
    refused = connect()
    refused.sendall(announced)
    status, top, body = answer(refused)
    assert (status, body["code"]) == (429, "too_many_uploads")
    assert b"Retry-After: 10" in top
    for upload in uploads:
        upload.close()
    wait_until_nothing_is_stored(stack)
    size = 3 * MEGABYTE
    again = connect()
    again.sendall(upload_head(token, f"Content-Length: {size}", "Connection: close"))
    again.sendall(PREFIX + bytes(size - len(PREFIX)))
    assert answer(again)[0] == 202


@pytest.mark.covers("fault", "The client disconnects while its upload is checked")
def test_aborted_uploads_are_not_counted(stack: Stack, token: str, connect: Connect) -> None:
    for _ in range(12):
        connection = connect()
        connection.sendall(upload_head(token, f"Content-Length: {3 * MEGABYTE}"))
        connection.close()

    def is_accepted() -> bool:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "audio/wav"}
        recording = PREFIX + bytes(3 * MEGABYTE)
        url = f"{stack.url}/api/transcriptions"
        return httpx.post(url, content=recording, headers=headers).status_code == 202

    wait_until(is_accepted)


@pytest.mark.covers("attack", "Many medium bodies from one address")
def test_unauthenticated_bodies_of_one_address_are_limited(stack: Stack, connect: Connect) -> None:
    announced = head("POST /health", f"Content-Length: {MEGABYTE}")
    for _ in range(20):
        connect().sendall(announced + bytes(256 * 1024))
    wait_until_bodies_are_stored(stack, 20)
    refused = connect()
    refused.sendall(announced + bytes(256 * 1024))
    status, _, body = answer(refused)
    assert (status, body["code"]) == (429, "too_many_uploads")


@pytest.mark.covers("attack", "A body that is longer than announced")
def test_rest_of_a_body_longer_than_announced_is_400(connect: Connect) -> None:
    connection = connect()
    connection.sendall(head("GET /health", "Content-Length: 5") + b"hello and more\r\n\r\n")
    data = b""
    while chunk := connection.recv(65536):
        data += chunk
    first, second = data.split(b"HTTP/1.1 ")[1:]
    assert (first[:3], second[:3]) == (b"200", b"400")


@pytest.mark.covers("attack", "An upload without a length and without chunks")
def test_upload_without_a_length_has_no_body(token: str, connect: Connect) -> None:
    connection = connect()
    connection.sendall(upload_head(token, "Connection: close") + PREFIX)
    status, _, body = answer(connection)
    assert (status, body["code"]) == (400, "empty_file")


@pytest.mark.covers("fault", "The client disconnects in the middle of an upload that was admitted")
def test_admitted_upload_that_breaks_off_leaves_nothing(
    stack: Stack, token: str, connect: Connect
) -> None:
    connection = connect()
    connection.sendall(upload_head(token, f"Content-Length: {6 * MEGABYTE}") + bytes(3 * MEGABYTE))
    wait_until_stored(stack, 2 * MEGABYTE)
    connection.close()
    wait_until_nothing_is_stored(stack)
