"""Whether Modal can be reached: decided in seconds, and not again for every recording."""

from __future__ import annotations

import queue
import socket
import threading
import time
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import modal

from gpu.types import NotTried, Unreachable

PROBE_TIMEOUT = 3.0  # seconds, whatever is asked of name servers included
FAILURES, PAUSE = 3, 30.0  # failures in a row after which we do not even try for so many seconds

Address = tuple[str, int]


def probe() -> None:
    """Raises Unreachable in seconds; the client itself would try for a minute."""
    wanted = addresses()
    answers: queue.Queue[OSError | None] = queue.Queue()
    for address in wanted:
        threading.Thread(target=_knock, args=(address, answers), daemon=True).start()
    problems: list[str] = []
    deadline = time.monotonic() + PROBE_TIMEOUT
    while len(problems) < len(wanted):
        try:
            problem = answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            problems.append(f"nothing within {PROBE_TIMEOUT:.0f} s")
            break
        if problem is None:
            return
        problems.append(str(problem))
    names = ", ".join(host for host, _ in wanted)
    raise Unreachable(
        "Modal does not answer: check the network and status.modal.com "
        f"({names}: {'; '.join(problems)})"
    )


def _knock(address: Address, answers: queue.Queue[OSError | None]) -> None:
    try:
        socket.create_connection(address, timeout=PROBE_TIMEOUT).close()
    except OSError as error:
        answers.put(error)
    else:
        answers.put(None)


def addresses() -> list[Address]:
    """Hosts and ports where Modal's client goes, as it is configured: one of them is enough. Behind
    a proxy it is the proxy's."""
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


class Breaker:
    """After some failures in a row nobody has to wait for another one for a while; then one goes
    ahead, and the others follow if that one fares well. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures, self._until, self._last = 0, 0.0, ""

    def check(self) -> None:
        """Raises NotTried, if it has just failed too often."""
        with self._lock:
            if self._failures < FAILURES:
                return
            if time.monotonic() < self._until:
                raise NotTried(f"not tried, as it has just failed: {self._last}")
            self._until = time.monotonic() + PAUSE

    def failed(self, error: Unreachable) -> None:
        """One more in a row."""
        with self._lock:
            self._failures += 1
            self._until, self._last = time.monotonic() + PAUSE, str(error)

    def succeeded(self) -> None:
        """All is well again."""
        with self._lock:
            self._failures = 0
