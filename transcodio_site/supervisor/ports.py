"""Ports of the web server: whether one can be used, and whether a server responds there."""

from __future__ import annotations

import random
import socket
from contextlib import suppress

from transcodio_site.supervisor.errors import StackError

# The event loop of the web server refuses this request, without a thread or the database.
MALFORMED_REQUEST = b"PING\r\n\r\n"


def check_port(host: str, port: int) -> None:
    """Check that the port can be used. Raises StackError."""
    if not 1 <= port <= 65535:
        raise StackError(f"{port} is not a port: choose one from 1 to 65535.")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise StackError(
                f"Port {port} on {host} cannot be used ({error.strerror}). "
                f"Choose another one: make run PORT={port + 1}"
            ) from None


def free_port() -> int:
    """A free port of the loopback interface.

    It is below the range of outgoing connections, one of which could take it before the server
    does.
    """
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def responds(host: str, port: int, timeout_s: float) -> bool:
    """Whether the server on this port answers a malformed request, if only by disconnecting."""
    try:
        with socket.create_connection((host, port), timeout=timeout_s) as client:
            client.sendall(MALFORMED_REQUEST)
            client.recv(1)
    except (ConnectionResetError, BrokenPipeError):
        return True
    except OSError:
        return False
    return True
