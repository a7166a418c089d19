"""One POST to an address that a user has chosen: never into our own network, never for long."""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Iterable
from typing import Any

import httpcore
from django.conf import settings

DEADLINE = 15.0  # seconds for one attempt, all in all
EXCERPT = 500  # characters of an answer that are kept
NAT64 = ipaddress.ip_network("64:ff9b::/96")
GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")  # all of IPv6 that is given out

FAILURES = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol)
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Refused(Exception):
    """The host lies in a private network."""


def post(url: str, headers: dict[str, str], body: bytes) -> tuple[int | None, str]:
    """The status and the beginning of the answer; None and a reason if there was none.

    Redirects are not followed: they would lead around the check of the address.
    """
    try:
        with (
            httpcore.ConnectionPool(network_backend=GuardedBackend()) as pool,
            pool.stream("POST", url, headers=[*headers.items()], content=body) as response,
        ):
            return response.status, _beginning(response.iter_stream())
    except Refused as error:
        return None, str(error)
    except httpcore.TimeoutException:
        return None, f"No answer within {DEADLINE:.0f} s."
    except (*FAILURES, OSError, ValueError) as error:
        return None, f"The connection failed: {error}"[:EXCERPT]


def _beginning(chunks: Iterable[bytes]) -> str:
    content = b""
    for chunk in chunks:
        content += chunk
        if len(content) > EXCERPT:
            break
    return content.decode(errors="replace").replace("\0", "")[:EXCERPT]


class GuardedBackend(httpcore.SyncBackend):
    """Connects to public addresses alone, and to the very address that was checked: a name that
    answers differently the next time gains nothing."""

    def __init__(self) -> None:
        self._deadline = time.monotonic() + DEADLINE

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *args: Any, **options: Any
    ) -> httpcore.NetworkStream:
        """To the first address that answers. Raises Refused, and what the last one raised."""
        problem: Exception = httpcore.ConnectError(f"{host} has no address")
        addresses = _addresses(host, port)
        for number, address in enumerate(addresses):
            if not (settings.WEBHOOK_ALLOW_PRIVATE or is_public(address)):
                message = f"{host} is {address}: webhooks go to public addresses only."
                raise Refused(message)
            # One that stays silent leaves time for the others.
            left = _left(self._deadline) / (len(addresses) - number)
            try:
                stream = super().connect_tcp(str(address), port, left, *args, **options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = error
            else:
                return DeadlineStream(stream, self._deadline)
        raise problem


class DeadlineStream(httpcore.NetworkStream):
    """A connection with one deadline for everything: a trickle of bytes does not extend it."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """See httpcore."""
        return self._stream.read(max_bytes, _left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """See httpcore."""
        self._stream.write(buffer, _left(self._deadline))

    def start_tls(self, *args: Any, **options: Any) -> httpcore.NetworkStream:
        """See httpcore."""
        options["timeout"] = _left(self._deadline)
        return DeadlineStream(self._stream.start_tls(*args, **options), self._deadline)

    def close(self) -> None:
        """See httpcore."""
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        """See httpcore."""
        return self._stream.get_extra_info(info)


def is_public(address: Address) -> bool:
    """Whether it lies in the open Internet, also if it only carries an older address in itself."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if address in NAT64:
            inner.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        elif address not in GLOBAL_UNICAST and not address.ipv4_mapped:
            return False
        if not all(is_public(old) for old in inner if old):
            return False
    return address.is_global and not address.is_multicast


def _addresses(host: str, port: int) -> list[Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [ipaddress.ip_address(str(item[4][0]).partition("%")[0]) for item in found]


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the time is up")
    return left
