"""The file in which a running stack publishes its URL."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import psutil
from django.conf import settings

from transcodio_site.files import write_atomically


@dataclass(frozen=True, slots=True)
class Address:
    """The URL of a stack, and the process id of its supervisor."""

    url: str
    pid: int


def publish(url: str) -> None:
    """Publish the URL of the stack that this process runs. Raises OSError."""
    write_atomically(_path(), json.dumps(asdict(Address(url, os.getpid()))))


def withdraw() -> None:
    """Delete what `publish()` wrote, unless another stack runs on the same data folder."""
    address = _published()
    if address and address.pid == os.getpid():
        _path().unlink(missing_ok=True)


def running_url() -> str | None:
    """The URL of the stack that runs on this data folder, or None."""
    address = _published()
    # A killed stack leaves the file behind, and another program may use its port.
    if address and psutil.pid_exists(address.pid) and is_healthy(address.url):
        return address.url
    return None


def is_healthy(url: str) -> bool:
    """Whether a Transcodio server responds at this URL."""
    try:
        return bool(httpx.get(f"{url}/health", timeout=5).json().get("status") == "healthy")
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        return False


def _path() -> Path:
    return Path(settings.VAR_DIR) / "address.json"


def _published() -> Address | None:
    """The address of the stack that started last; None if it has stopped or the file is damaged."""
    with suppress(OSError, ValueError, TypeError):
        address = Address(**json.loads(_path().read_text()))
        if isinstance(address.url, str) and isinstance(address.pid, int):
            return address
    return None
