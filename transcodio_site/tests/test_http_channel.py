"""Request heads and bodies that a server must not wait for or must not accept. Time is Twisted's
Clock."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.http import HttpResponse
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.python.failure import Failure

from transcodio_site.server import UploadServer
from transcodio_site.tests.test_response_headers import problems

START = b"POST /api/transcriptions HTTP/1.1\r\nHost: 127.0.0.1\r\n"


async def respond(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """An application that responds to every request."""
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


class Connection:
    """A client of the server's HTTP side, without a network."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.server = UploadServer(respond, endpoints=["tcp:0"])
        self.server.connections = {}
        self.server.http_factory = None
        self.server.http_factory.reactor = self.clock
        self.channel = self.server.http_factory.buildProtocol(None)
        self.transport = StringTransportWithDisconnection()
        self.transport.protocol = self.channel
        self.channel.makeConnection(self.transport)

    def send(self, data: bytes) -> None:
        """Send bytes to the server."""
        self.channel.dataReceived(data)

    def send_slowly(self, data: bytes, seconds: float) -> None:
        """Send one byte at a time, with this pause before each."""
        for position in range(len(data)):
            self.clock.pump([1.0] * int(seconds))
            self.send(data[position : position + 1])

    @property
    def status(self) -> int | None:
        """The status of the response, if there is one."""
        received = self.transport.value()
        return int(received.split()[1]) if received else None

    @property
    def is_open(self) -> bool:
        """Whether the server still waits."""
        return bool(self.transport.connected)

    @property
    def reached_application(self) -> bool:
        """Whether a request was complete."""
        return any("application_instance" in each for each in self.server.connections.values())


@pytest.fixture
def connection() -> Iterator[Connection]:
    """A client that has disconnected after the test: its uploads are no longer counted."""
    client = Connection()
    yield client
    client.transport.loseConnection()


FLOODS = {
    "a long path": (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n", 414),
    "a path without an end": (b"GET /" + b"a" * 20_000, 414),
    "a long header": (START + b"X: " + b"a" * 20_000 + b"\r\n\r\n", 431),
    "a header without an end": (START + b"X: " + b"a" * 20_000, 431),
    "many headers": (START + b"X: 1\r\n" * 600 + b"\r\n", 431),
    "many long headers": (START + (b"X: " + b"a" * 1000 + b"\r\n") * 20 + b"\r\n", 431),
}


@pytest.mark.covers("attack", "Too many headers, or an endless path")
@pytest.mark.parametrize("name", FLOODS)
def test_too_large_head_is_refused(connection: Connection, name: str) -> None:
    data, status = FLOODS[name]
    for start in range(0, len(data), 4096):
        connection.send(data[start : start + 4096])
    head, _, body = connection.transport.value().partition(b"\r\n\r\n")
    assert (connection.status, b"Connection: close" in head) == (status, True)
    assert json.loads(body)["code"] in ("uri_too_long", "headers_too_large")
    assert not connection.reached_application


AMBIGUOUS = {
    "both lengths": b"Transfer-Encoding: chunked\r\nContent-Length: 5",
    "both lengths, reversed": b"Content-Length: 5\r\nTransfer-Encoding: chunked",
    "two lengths": b"Content-Length: 5\r\nContent-Length: 6",
    "twice the same length": b"Content-Length: 5\r\nContent-Length: 5",
    "list of lengths": b"Content-Length: 5, 5",
    "negative length": b"Content-Length: -5",
    "signed length": b"Content-Length: +5",
    "hexadecimal length": b"Content-Length: 0x5",
    "empty length": b"Content-Length:",
    "length with an underscore": b"Content-Length: 1_0",
    "length of 30 digits": b"Content-Length: " + b"9" * 30,
    "length of 5000 digits": b"Content-Length: " + b"9" * 5000,
    "space before the colon": b"Content-Length : 5",
    "folded header": b"X: a\r\n Content-Length: 5",
    "folded length": b"Content-Length:\r\n 5",
    "folded encoding": b"Transfer-Encoding:\r\n\tchunked",
    "unknown encoding": b"Transfer-Encoding: xchunked",
    "encoding identity": b"Transfer-Encoding: identity\r\nContent-Length: 5",
    "two encodings": b"Transfer-Encoding: gzip, chunked",
    "encoding twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "NUL": b"X: a\0b",
    "carriage return": b"X: a\rContent-Length: 5",
    "line feed": b"X: a\nContent-Length: 5",
    "no colon": b"Content-Length 5",
}


@pytest.mark.covers("attack", "A request whose length proxies read differently (smuggling)")
@pytest.mark.parametrize("name", AMBIGUOUS)
def test_ambiguous_head_is_400(connection: Connection, name: str) -> None:
    smuggled = b"GET /health HTTP/1.1\r\n\r\n"
    connection.send(START + AMBIGUOUS[name] + b"\r\n\r\n0\r\n\r\n" + smuggled)
    assert connection.status == 400
    assert connection.transport.value().count(b"HTTP/1.1") == 1
    assert not connection.reached_application


@pytest.mark.covers("attack", "A chunked body that is malformed")
@pytest.mark.parametrize("chunk", [b"zz\r\n", b"-5\r\nhello", b"5\r\nhelloworld", b"5;\0\r\nhello"])
def test_malformed_chunk_is_400(connection: Connection, chunk: bytes) -> None:
    connection.send(START + b"Transfer-Encoding: chunked\r\n\r\n" + chunk)
    assert connection.status == 400
    assert not connection.reached_application


@pytest.mark.covers("attack", "Headers that arrive one byte every few seconds")
def test_slow_head_is_408(connection: Connection) -> None:
    connection.send_slowly(START[:3], seconds=6)
    assert connection.status is None
    connection.send_slowly(START[3:5], seconds=6)
    assert connection.status == 408
    connection.send(START)  # discarded
    connection.clock.advance(31)
    assert not connection.is_open


@pytest.mark.covers("attack", "A connection on which nothing is sent")
def test_silent_connection_is_closed(connection: Connection) -> None:
    connection.clock.advance(59)
    assert connection.is_open
    connection.clock.advance(2)
    assert not connection.is_open


@pytest.mark.covers("attack", "A connection that stays open after a response")
def test_idle_connection_is_closed() -> None:
    async def scenario() -> Connection:
        connection = Connection()
        for count in (1, 2):
            connection.send(b"GET / HTTP/1.1\r\n\r\n")
            while connection.transport.value().count(b"HTTP/1.1 204") < count:  # noqa: ASYNC110
                await asyncio.sleep(0)
            connection.clock.advance(50)
            assert connection.is_open
        return connection

    connection = asyncio.run(scenario())
    connection.clock.advance(11)
    assert not connection.is_open


@pytest.mark.covers("attack", "A body that arrives one byte every few seconds")
@pytest.mark.parametrize("header", [b"Content-Length: 1000000", b"Transfer-Encoding: chunked"])
def test_slow_body_is_408_and_deleted(connection: Connection, header: bytes) -> None:
    connection.send(START + header + b"\r\n\r\nf4240\r\n" + bytes(200_000))
    body = connection.channel.requests[0].content
    connection.send_slowly(bytes(5), seconds=10)
    assert connection.status is None  # the first half minute was fast enough
    connection.send_slowly(bytes(2), seconds=10)
    assert connection.status == 408
    assert json.loads(connection.transport.value().partition(b"\r\n\r\n")[2])["code"] == "too_slow"
    assert body.closed
    connection.send(bytes(800_000))  # discarded
    assert not connection.reached_application


@pytest.mark.parametrize("refused", ["head", "body"])
def test_refusals_have_the_headers_of_other_responses(connection: Connection, refused: str) -> None:
    if refused == "head":
        connection.send(START + b"Transfer-Encoding: gzip\r\n\r\n")
    else:
        connection.send(START + b"Content-Length: 1000000\r\n\r\n")
        connection.clock.pump([10.0] * 7)
    head = connection.transport.value().partition(b"\r\n\r\n")[0].decode()
    lines = head.split("\r\n")[1:]
    response = HttpResponse(headers=dict(line.split(": ", 1) for line in lines))
    assert problems(response, "") == []


def test_body_at_two_kilobytes_per_second_is_accepted(connection: Connection) -> None:
    connection.send(START + b"Content-Length: 1000000\r\n\r\n")
    for _ in range(300):
        connection.clock.advance(1)
        connection.send(bytes(2048))
    assert connection.status is None
    assert connection.is_open


@pytest.mark.covers("fault", "The client disconnects before the announced end of a body")
def test_incomplete_body_is_deleted(connection: Connection) -> None:
    connection.send(START + b"Content-Length: 1000000\r\n\r\n" + bytes(500_000))
    body = connection.channel.requests[0].content
    connection.channel.connectionLost(Failure(ConnectionDone()))
    assert body.closed
    assert not connection.reached_application
    assert not connection.clock.getDelayedCalls()
