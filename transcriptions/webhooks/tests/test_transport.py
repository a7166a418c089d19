"""Requests to URLs of users: never into a private network, and always with a deadline."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import ExitStack
from ipaddress import ip_address
from typing import Any

import pytest

from transcodio_site.testing import WAIT_S
from transcriptions.webhooks import transport
from transcriptions.webhooks.forms import EndpointForm
from transcriptions.webhooks.tests.conftest import Receiver

NOT_PUBLIC = "The host name does not resolve to a public address."
INTERNAL = [
    "127.0.0.1", "localhost", "LOCALHOST", "localhost.", "127.0.0.1.", "127.1", "127.0.1",
    "127.9.9.9", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "0", "0.0.0.0",  # noqa: S104
    "[::]", "[::1]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]",
    "[64:ff9b::7f00:1]", "[64:ff9b::127.0.0.1]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]",
    "[::ffff:0:127.0.0.1]", "169.254.169.254", "2852039166", "[fd00:ec2::254]",
    "[::ffff:169.254.169.254]", "example.com@127.0.0.1", "x" * 64 + ".example.com",
]  # fmt: skip
# Not host names, but some parsers accept them as such.
MALFORMED = [
    "example.com%40127.0.0.1", "127.0.0.1#@example.com", "127.0.0.1\\@example.com", "127.0.0.1%2f",
    "localhost%00.example.com", "127.0.0.1%09", "\u2460\u2461\u2466.\u24ea.\u24ea.\u2460",
    "127\u30020\u30020\u30021", "\uff4c\uff4f\uff43\uff41\uff4c\uff48\uff4f\uff53\uff54",
    "localhost%E3%80%82", "loc\u00adalhost", "[fe80::1%25lo]", "[fe80::1%lo]", "[::1%25lo]",
    "[::1%251]",
]  # fmt: skip


@pytest.mark.covers("attack", "A webhook's host has an internal address, in IPv4, IPv6 or NAT64")
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
def test_address_is_not_public(address: str) -> None:
    assert not transport.is_public(ip_address(address))


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.215.14", "2606:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1"]
)
def test_address_is_public(address: str) -> None:
    assert transport.is_public(ip_address(address))


@pytest.mark.covers("attack", "A webhook or its host names an internal address in disguise")
@pytest.mark.parametrize("host", [*INTERNAL, *MALFORMED])
def test_every_spelling_of_an_internal_address_is_refused(
    receiver: Receiver, settings: Any, host: str
) -> None:
    settings.WEBHOOK_ALLOW_PRIVATE = False
    entered = f"http://{host}:{receiver.server_port}/"
    form = EndpointForm({"url": entered, "events": "transcription.failed"})
    stored = [form.cleaned_data["url"]] if form.is_valid() else []
    raw = [entered] if entered.isascii() else []  # the form encodes the others as Punycode
    for url in (*raw, *stored):
        status, reason = transport.post(url, {}, b"{}")
        assert status is None
        assert reason == NOT_PUBLIC or (host in MALFORMED and url == entered)
    assert receiver.requests == []


@pytest.mark.covers("attack", "Webhooks are used to find out names of the internal network")
@pytest.mark.parametrize("error", [None, socket.EAI_NONAME, socket.EAI_AGAIN, socket.EAI_FAIL])
def test_private_and_unknown_host_names_get_the_same_error(
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: int | None,
) -> None:
    """Otherwise a user could learn names and addresses of the private network."""

    def resolve(host: str, *args: Any, **options: Any) -> Any:
        if error is None:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.20.30.40", 80))]
        raise socket.gaierror(error, "The reason of the resolver")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    settings.WEBHOOK_ALLOW_PRIVATE = False
    caplog.set_level("INFO")
    assert transport.post("http://db.internal.example/", {}, b"{}") == (None, NOT_PUBLIC)
    assert ("10.20.30.40" in caplog.text) == (error is None)  # for the operator


@pytest.mark.slow
@pytest.mark.parametrize("first", ["refuses", "does not respond"])
def test_next_address_of_the_host_is_tried(
    receiver: Receiver, settings: Any, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    settings.WEBHOOK_ALLOW_PRIVATE = True
    monkeypatch.setattr(transport, "DEADLINE_S", 10.0)
    addresses = [ip_address("127.0.0.9"), ip_address("127.0.0.1")]
    monkeypatch.setattr(transport, "_resolve", lambda host, port: addresses)
    with socket.socket() as silent, ExitStack() as stack:
        if first == "does not respond":  # its accept queue is full
            silent.bind(("127.0.0.9", receiver.server_port))
            silent.listen(0)
            for _ in range(4):
                client = stack.enter_context(socket.socket())
                client.setblocking(False)
                client.connect_ex(("127.0.0.9", receiver.server_port))
        url = f"http://receiver.example:{receiver.server_port}/"
        assert transport.post(url, {}, b"{}")[0] == 204
    assert len(receiver.requests) == 1


@pytest.mark.covers("attack", "A host name resolves to an internal address the second time")
def test_dns_rebinding_does_not_change_the_checked_address(
    receiver: Receiver, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is resolved once, even if the name server returns another address each time."""
    resolved: list[str] = []
    addresses = iter(["192.0.2.1", "127.0.0.1"])
    real = socket.getaddrinfo

    def resolve(host: Any, *args: Any, **options: Any) -> Any:
        if host != "rebinding.example":
            return real(host, *args, **options)
        resolved.append(host)
        return real(next(addresses), *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    settings.WEBHOOK_ALLOW_PRIVATE = False
    connected: list[Any] = []

    def connect(address: Any, *args: Any, **options: Any) -> Any:
        connected.append(address)
        raise OSError("unreachable")

    monkeypatch.setattr(socket, "create_connection", connect)
    monkeypatch.setattr(transport, "is_public", lambda address: str(address) == "192.0.2.1")
    transport.post(f"http://rebinding.example:{receiver.server_port}/", {}, b"{}")
    assert resolved == ["rebinding.example"]
    assert connected == [("192.0.2.1", receiver.server_port)]


@pytest.mark.covers("attack", "A webhook's receiver redirects to an internal address")
@pytest.mark.parametrize("redirect", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(receiver: Receiver, redirect: int) -> None:
    receiver.status = redirect
    receiver.headers = {"Location": receiver.url.replace("/hook", "/secret")}
    status, _ = transport.post(receiver.url, {}, b"{}")
    assert status == redirect
    assert [path for path, _, _ in receiver.requests] == ["/hook"]


@pytest.mark.parametrize(
    ("url", "start"),
    [
        ("http://127.0.0.1:1/", "The connection failed. Check"),
        ("http://no-such-host.invalid/", "The host name does not resolve"),
        ("http://", ""),
        ("http://[::1", ""),
        ("x://y", ""),
    ],
)
def test_failed_connection_has_a_reason(settings: Any, url: str, start: str) -> None:
    settings.WEBHOOK_ALLOW_PRIVATE = True
    status, reason = transport.post(url, {}, b"{}")
    assert status is None
    assert reason
    assert reason.startswith(start)
    assert "Errno" not in reason


def test_server_without_tls_has_a_reason(receiver: Receiver) -> None:
    status, reason = transport.post(receiver.url.replace("http:", "https:"), {}, b"{}")
    assert (status, reason[:32]) == (None, "The TLS certificate of the serve")


@pytest.mark.covers("attack", "A webhook's receiver answers one byte at a time")
def test_slow_response_does_not_extend_the_deadline(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.WEBHOOK_ALLOW_PRIVATE = True
    monkeypatch.setattr(transport, "DEADLINE_S", 0.5)
    done, last = threading.Event(), time.monotonic() + WAIT_S
    with socket.create_server(("127.0.0.1", 0)) as server:

        def trickle() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\n")
                while not done.wait(0.05) and time.monotonic() < last:
                    connection.sendall(b"X-Slow: 1\r\n")

        thread = threading.Thread(target=trickle, daemon=True)
        thread.start()
        status, reason = transport.post(f"http://127.0.0.1:{server.getsockname()[1]}/", {}, b"{}")
        done.set()
        thread.join()
    assert status is None
    assert "No response within" in reason
