"""Who may see metrics and the details of health: paths, errors, load."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.crypto import constant_time_compare

# A proxy adds at least one of these. Behind a proxy on this machine, every stranger has a loopback
# address.
FORWARDING_HEADERS = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Real-Ip", "Via")

REFUSAL = "Metrics are shown to this machine only, or to requests with METRICS_TOKEN.\n"


def is_operator(address: str, headers: dict[str, str]) -> bool:
    """Whether the request has METRICS_TOKEN. If that is not set: whether it comes directly from
    this machine, and not from a page in a browser whose host name resolves to it.

    `address` is that of the connection; the names of `headers` are in title case.
    """
    if settings.METRICS_TOKEN:
        expected = f"Bearer {settings.METRICS_TOKEN}"
        return constant_time_compare(headers.get("Authorization", ""), expected)
    is_forwarded = any(name in headers for name in FORWARDING_HEADERS)
    return _is_loopback(address) and not is_forwarded and _is_local_name(headers.get("Host", ""))


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:  # a Unix socket has none
        return False


def _is_local_name(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name == "localhost" or _is_loopback(name)
