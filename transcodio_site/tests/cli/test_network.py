"""The command line with a broken network or an unexpected server."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from transcodio_site.cli.client import Client, Unreachable
from transcodio_site.testing import WAIT_S, Stack
from transcodio_site.tests.cli.conftest import Run


@contextmanager
def responding(*responses: str) -> Iterator[str]:
    """The URL of a server that gives one fixed response per connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for response in responses:
                connection, _ = server.accept()
                with connection:
                    connection.sendall(f"HTTP/1.1 {response}".replace("\n", "\r\n").encode())
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(65536):
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join(WAIT_S)


PORTAL = "200 OK\nContent-Type: text/html\n\n<html>Sign in"
STREAM = "200 OK\nContent-Type: text/event-stream\n\n"
BUSY = "503 Busy\nContent-Length: 0\nRetry-After: "
NOT_TRANSCODIO = "did not respond like a Transcodio server"


@pytest.mark.parametrize(
    ("response", "status", "words"),
    [
        (PORTAL, 1, NOT_TRANSCODIO),
        ("200 OK\n\n[]", 1, NOT_TRANSCODIO),
        ("200 OK\n\n{}", 1, NOT_TRANSCODIO),
        ("200 OK\nContent-Encoding: gzip\n\n{}", 4, "does not respond: "),
        (f"{BUSY}Fri, 31 Dec 2999 23:59:59 GMT\n\n", 1, "The server responded with 503"),
    ],
)
def test_unexpected_response_has_no_traceback(
    run: Run, response: str, status: int, words: str
) -> None:
    with responding(response) as url:
        done = run("list", "--server", url)
    assert done.returncode == status
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "rest",
    [
        [PORTAL],
        ["200 OK\nContent-Type: text/plain\n\nEverything works.\n"],
        [f"{STREAM}data: [nonsense\n\n"],
        [STREAM + 'data: {"type": "complete", "id": 1, "note": ""}\n\n', PORTAL],
    ],
)
def test_captive_portal_page_is_not_written_as_transcript(
    run: Run, tmp_path: Path, rest: list[str]
) -> None:
    (tmp_path / "talk.mp3").touch()
    uploaded = '202 Accepted\n\n{"id": "1"}'
    with responding(f"{BUSY}-1\n\n", uploaded, *rest) as url:
        done = run("transcribe", "talk.mp3", "-o", "talk.txt", "--server", url)
    assert done.returncode == 1
    assert NOT_TRANSCODIO in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "talk.txt").exists()


def test_keep_alive_lines_reset_the_retry_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that closes every connection after a while does not end a long wait."""
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    alive, over = f"{STREAM}retry: 2000\n\n", STREAM + 'data: {"type": "complete", "id": 1}\n\n'
    with responding(*[alive] * 9, over) as url:
        events = Client(url, "tk_x").events("x")
        assert [event["type"] for event in events] == ["complete"]
    with responding(*[STREAM] * 5) as url, pytest.raises(Unreachable):
        list(Client(url, "tk_x").events("x"))


class BreakingProxy:
    """A TCP proxy that closes the first `cuts` connections in which it sees `mark`."""

    def __init__(self, target: str, mark: bytes, cuts: int) -> None:
        host, port = target.removeprefix("http://").split(":")
        self.target, self.mark, self.cuts = (host, int(port)), mark, cuts
        self.received: list[bytes] = []
        self.server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            upstream = socket.create_connection(self.target)
            for source, sink in ((client, upstream), (upstream, client)):
                threading.Thread(target=self._forward, args=(source, sink), daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                self.received.append(data)
                if self.cuts and self.mark in data:
                    self.cuts -= 1
                    break
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


@pytest.fixture
def broken_proxy(stack: Stack) -> Iterator[Callable[[bytes, int], BreakingProxy]]:
    proxies: list[BreakingProxy] = []

    def make(mark: bytes, cuts: int) -> BreakingProxy:
        proxies.append(BreakingProxy(stack.url, mark, cuts))
        return proxies[-1]

    yield make
    for proxy in proxies:
        proxy.server.close()


def test_lost_event_stream_resumes_without_loss(
    run: Run, short: Path, broken_proxy: Callable[[bytes, int], BreakingProxy]
) -> None:
    proxy = broken_proxy(b"event: complete", 1)
    done = run("transcribe", short, TRANSCODIO_SERVER=proxy.url)
    assert done.returncode == 0, done.stderr
    assert proxy.cuts == 0
    assert any(b"last-event-id" in data.lower() for data in proxy.received)
    shown = [line[9:] for line in done.stderr.splitlines()]
    assert " ".join(shown) == " ".join(done.stdout.split())


@pytest.mark.parametrize("lost", ["200 OK\nContent-Length: 9\n\nHel", f"{BUSY}0\n\n"])
def test_export_is_retried(lost: str) -> None:
    with responding(lost, "200 OK\nContent-Length: 5\n\nHello") as url:
        assert Client(url, "tk_x").export("x", {}) == b"Hello"


@pytest.mark.slow
def test_interrupted_upload_is_retried_and_creates_one_recording(
    run: Run, short: Path, tmp_path: Path, broken_proxy: Callable[[bytes, int], BreakingProxy]
) -> None:
    only = tmp_path / "Sent twice.mp3"
    only.write_bytes(short.read_bytes())
    proxy = broken_proxy(b"202 Accepted", 1)  # the upload is stored, but the response is lost
    done = run("transcribe", only, TRANSCODIO_SERVER=proxy.url)
    assert done.returncode == 0, done.stderr
    assert proxy.cuts == 0
    assert len(run("list", "-q", '"sent twice"').stdout.splitlines()) == 1
