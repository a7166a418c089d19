"""The IP address that a request comes from."""

from __future__ import annotations

from allauth.account.adapter import get_adapter
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import HttpRequest


def get_client_ip(request: HttpRequest) -> str | None:
    """The client's IP address according to the trusted proxies (TRUSTED_PROXY_COUNT), or else the
    address of the connection; None if it has none (a Unix socket) or the proxies sent no valid
    address."""
    try:
        return str(get_adapter(request).get_client_ip(request))
    except (PermissionDenied, ImproperlyConfigured):
        return None
