"""Nothing that a user writes into an address leads into our own network, or holds us up."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import ExitStack
from ipaddress import ip_address
from typing import Any

import pytest

from transcodio_site.testing import WAIT_S
from transcriptions.webhooks import sending
from transcriptions.webhooks.tests.conftest import Receiver


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.9.9.9", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254",
        "100.64.0.1", "0.1.2.3", "255.255.255.255", "224.0.0.1", "192.0.2.1", "198.18.0.1",
        "::1", "::", "fe80::1", "fd00::1", "ff02::1", "2001:db8::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1",
        "2002:7f00:1::", "2002:a00:1::", "fec0::1", "::10.0.0.1", "64:ff9b:1::7f00:1",
        "::ffff:0:127.0.0.1",
    ],
)  # fmt: skip
def test_what_is_not_the_open_internet_is_refused(address: str) -> None:
    assert not sending.is_public(ip_address(address))


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.215.14", "2606:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1"]
)
def test_what_is_may_be_reached(address: str) -> None:
    assert sending.is_public(ip_address(address))


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "[::ffff:127.0.0.1]"]
)
def test_no_spelling_of_loopback_is_posted_to(receiver: Receiver, settings: Any, host: str) -> None:
    settings.WEBHOOK_ALLOW_PRIVATE = False
    status, reason = sending.post(f"http://{host}:{receiver.server_port}/", {}, b"{}")
    assert status is None
    assert "public addresses only" in reason
    assert receiver.got == []


@pytest.mark.parametrize("first", ["refuses", "stays silent"])
def test_another_address_of_the_host_is_tried(
    receiver: Receiver, settings: Any, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    settings.WEBHOOK_ALLOW_PRIVATE = True
    monkeypatch.setattr(sending, "DEADLINE", 10.0)
    addresses = [ip_address("127.0.0.9"), ip_address("127.0.0.1")]
    monkeypatch.setattr(sending, "_addresses", lambda host, port: addresses)
    with socket.socket() as silent, ExitStack() as waiting:
        if first == "stays silent":  # its queue is full: nobody accepts anything there
            silent.bind(("127.0.0.9", receiver.server_port))
            silent.listen(0)
            for _ in range(4):
                each = waiting.enter_context(socket.socket())
                each.setblocking(False)
                each.connect_ex(("127.0.0.9", receiver.server_port))
        url = f"http://receiver.example:{receiver.server_port}/"
        assert sending.post(url, {}, b"{}")[0] == 204
    assert len(receiver.got) == 1


def test_the_address_that_was_checked_is_the_one_that_is_used(
    receiver: Receiver, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name server that says something else each time is asked once."""
    asked: list[str] = []
    answers = iter(["192.0.2.1", "127.0.0.1"])
    real = socket.getaddrinfo

    def changing(host: Any, *args: Any, **options: Any) -> Any:
        if host != "rebinding.example":
            return real(host, *args, **options)
        asked.append(host)
        return real(next(answers), *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", changing)
    settings.WEBHOOK_ALLOW_PRIVATE = False
    connected: list[Any] = []

    def connect(address: Any, *args: Any, **options: Any) -> Any:
        connected.append(address)
        raise OSError("unreachable")

    monkeypatch.setattr(socket, "create_connection", connect)
    monkeypatch.setattr(sending, "is_public", lambda address: str(address) == "192.0.2.1")
    sending.post(f"http://rebinding.example:{receiver.server_port}/", {}, b"{}")
    assert asked == ["rebinding.example"]
    assert connected == [("192.0.2.1", receiver.server_port)]


def test_redirects_are_not_followed(receiver: Receiver) -> None:
    receiver.status = 307
    receiver.headers = {"Location": receiver.url.replace("/hook", "/secret")}
    status, _ = sending.post(receiver.url, {}, b"{}")
    assert status == 307
    assert [path for path, _, _ in receiver.got] == ["/hook"]


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:1/", "http://no-such-host.invalid/", "http://", "http://[::1", "x://y"],
)
def test_what_cannot_be_reached_is_told_in_words(settings: Any, url: str) -> None:
    settings.WEBHOOK_ALLOW_PRIVATE = True
    status, reason = sending.post(url, {}, b"{}")
    assert status is None
    assert reason


def test_a_trickle_of_bytes_does_not_hold_us_up(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.WEBHOOK_ALLOW_PRIVATE = True
    monkeypatch.setattr(sending, "DEADLINE", 0.5)
    over, last = threading.Event(), time.monotonic() + WAIT_S
    with socket.create_server(("127.0.0.1", 0)) as server:

        def trickle() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\n")
                while not over.wait(0.05) and time.monotonic() < last:
                    connection.sendall(b"X-Slow: 1\r\n")

        thread = threading.Thread(target=trickle, daemon=True)
        thread.start()
        status, reason = sending.post(f"http://127.0.0.1:{server.getsockname()[1]}/", {}, b"{}")
        over.set()
        thread.join()
    assert status is None
    assert "No answer within" in reason
