"""Decides within seconds whether Modal can be reached, without a new attempt for every
recording."""

from __future__ import annotations

import queue
import socket
import threading
import time
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import modal

from gpu.types import CircuitOpen, Unreachable

PROBE_TIMEOUT_S = 3.0  # including the time to resolve names
FAILURE_THRESHOLD = 3  # consecutive failures that open the circuit
OPEN_CIRCUIT_S = 30.0  # after which one attempt is let through

Address = tuple[str, int]  # host and port


def probe() -> None:
    """Raises Unreachable if no server accepts a connection; Modal's client tries for a minute."""
    addresses = server_addresses()
    results: queue.Queue[OSError | None] = queue.Queue()
    for address in addresses:
        threading.Thread(target=_connect, args=(address, results), daemon=True).start()
    problems: list[str] = []
    deadline = time.monotonic() + PROBE_TIMEOUT_S
    while len(problems) < len(addresses):
        try:
            problem = results.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            problems.append(f"no response within {PROBE_TIMEOUT_S:.0f} s")
            break
        if problem is None:
            return
        problems.append(str(problem))
    hosts = ", ".join(host for host, _ in addresses)
    raise Unreachable(
        "Modal does not answer: check the network and status.modal.com "
        f"({hosts}: {'; '.join(problems)})"
    )


def _connect(address: Address, results: queue.Queue[OSError | None]) -> None:
    try:
        socket.create_connection(address, timeout=PROBE_TIMEOUT_S).close()
    except OSError as error:
        results.put(error)
    else:
        results.put(None)


def server_addresses() -> list[Address]:
    """The servers that Modal's client is configured to use, or the proxy in front of them. It is
    enough if one of them responds.
    """
    urls = modal.config.config["server_url"].replace(" ", "").split(",")
    return [_address(_proxy_for(url) or url) for url in urls]


def _address(url: str) -> Address:
    parts = urlsplit(url)
    ports = {"https": 443, "http": 80, "socks4": 1080, "socks5": 1080, "socks5h": 1080}
    return parts.hostname or "", parts.port or ports.get(parts.scheme, 443)


def _proxy_for(url: str) -> str | None:
    parts = urlsplit(url)
    if modal.config.config.get("disable_api_proxy") or proxy_bypass(parts.hostname or ""):
        return None
    proxies = getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")


class CircuitBreaker:
    """After FAILURE_THRESHOLD consecutive failures no attempt is made for OPEN_CIRCUIT_S.

    Then one attempt is let through: if it succeeds, the circuit closes for all. Thread-safe.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures, self._open_until, self._last_error = 0, 0.0, ""

    def check(self) -> None:
        """Raises CircuitOpen if no attempt may be made now."""
        with self._lock:
            if self._failures < FAILURE_THRESHOLD:
                return
            if time.monotonic() < self._open_until:
                raise CircuitOpen(f"not tried, because the last calls failed: {self._last_error}")
            self._open_until = time.monotonic() + OPEN_CIRCUIT_S

    def record_failure(self, error: Unreachable) -> None:
        """Counts a failed attempt."""
        with self._lock:
            self._failures += 1
            self._open_until = time.monotonic() + OPEN_CIRCUIT_S
            self._last_error = str(error)

    def record_success(self) -> None:
        """Closes the circuit."""
        with self._lock:
            self._failures = 0
