"""One POST to a URL that a user has entered: never into a private network, and with a deadline.

Users learn that a host was refused, but not what it resolves to: otherwise they could enumerate the
host names of the internal network.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
import ssl
import time
from collections.abc import Iterable
from typing import Any

import httpcore
from django.conf import settings
from django.utils.translation import gettext as _

log = logging.getLogger(__name__)

DEADLINE_S = 15.0  # for a whole attempt
MAX_RESPONSE_CHARS = 500
NAT64 = ipaddress.ip_network("64:ff9b::/96")
GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")  # all IPv6 addresses that IANA has allocated

ERRORS = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol)
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class NoPublicAddress(Exception):
    """The host cannot be resolved, or resolves to a private address."""


def post(url: str, headers: dict[str, str], body: bytes) -> tuple[int | None, str]:
    """The status and the start of the response body; if there is no response, None and the reason.

    Redirects are not followed: their targets would not be checked.
    """
    try:
        with (
            httpcore.ConnectionPool(network_backend=PublicAddressBackend()) as pool,
            pool.stream("POST", url, headers=[*headers.items()], content=body) as response,
        ):
            return response.status, _read_start(response.iter_stream())
    except NoPublicAddress:
        return None, _("The host name does not resolve to a public address.")
    except httpcore.TimeoutException:
        return None, _("No response within %(seconds)d seconds.") % {"seconds": DEADLINE_S}
    except (*ERRORS, OSError, ValueError) as error:
        log.info("a webhook cannot be sent: %r", error)
        return None, _reason(error)


def _reason(error: Exception) -> str:
    """The reason for the owner of the webhook."""
    if isinstance(error.__cause__ or error.__context__ or error, ssl.SSLError):
        return _("The TLS certificate of the server is not valid. Renew or correct it.")
    if isinstance(error, httpcore.NetworkError | OSError):
        return _("The connection failed. Check that the server is running and can be reached.")
    return _("The response of the server is not HTTP. Check the URL and its port.")


def _read_start(chunks: Iterable[bytes]) -> str:
    content = b""
    for chunk in chunks:
        content += chunk
        if len(content) > MAX_RESPONSE_CHARS:
            break
    return content.decode(errors="replace").replace("\0", "")[:MAX_RESPONSE_CHARS]


class PublicAddressBackend(httpcore.SyncBackend):
    """Resolves a host name once and connects to an address that was checked, so a name server that
    returns a private address the next time (DNS rebinding) achieves nothing."""

    def __init__(self) -> None:
        self._deadline = time.monotonic() + DEADLINE_S

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *args: Any, **options: Any
    ) -> httpcore.NetworkStream:
        """Connect to the first address that answers. Raises NoPublicAddress, or the error of the
        last address."""
        last_error: Exception = NoPublicAddress(host)
        addresses = _resolve(host, port)
        for number, address in enumerate(addresses):
            if not (settings.WEBHOOK_ALLOW_PRIVATE or is_public(address)):
                log.info("no webhook is sent to %s: it resolves to %s", host, address)
                raise NoPublicAddress(host)
            # An address that does not answer leaves time for the others.
            share = _time_left(self._deadline) / (len(addresses) - number)
            try:
                stream = super().connect_tcp(str(address), port, share, *args, **options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last_error = error
            else:
                return DeadlineStream(stream, self._deadline)
        raise last_error


class DeadlineStream(httpcore.NetworkStream):
    """A connection with a total deadline, which slow reads and writes do not extend."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """See httpcore.NetworkStream."""
        return self._stream.read(max_bytes, _time_left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """See httpcore.NetworkStream."""
        self._stream.write(buffer, _time_left(self._deadline))

    def start_tls(self, *args: Any, **options: Any) -> httpcore.NetworkStream:
        """See httpcore.NetworkStream."""
        options["timeout"] = _time_left(self._deadline)
        return DeadlineStream(self._stream.start_tls(*args, **options), self._deadline)

    def close(self) -> None:
        """See httpcore.NetworkStream."""
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        """See httpcore.NetworkStream."""
        return self._stream.get_extra_info(info)


def is_public(address: Address) -> bool:
    """Whether an address is in the public Internet, and the IPv4 address that it embeds is too."""
    if isinstance(address, ipaddress.IPv6Address):
        embedded = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if address in NAT64:
            embedded.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        elif address not in GLOBAL_UNICAST and not address.ipv4_mapped:
            return False
        if not all(is_public(ipv4) for ipv4 in embedded if ipv4):
            return False
    return address.is_global and not address.is_multicast


def _resolve(host: str, port: int) -> list[Address]:
    """Raises NoPublicAddress if the name does not exist: a private name must look the same."""
    try:
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:  # UnicodeError: not a host name
        raise NoPublicAddress(host) from error
    return [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in entries]


def _time_left(deadline: float) -> float:
    """Seconds until the deadline. Raises httpcore.ReadTimeout after it."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise httpcore.ReadTimeout("deadline exceeded")
    return seconds
