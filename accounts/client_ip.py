"""Where a request comes from."""

from __future__ import annotations

from allauth.account.adapter import get_adapter
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str | None:
    """The client's IP address as the trusted proxies tell it (TRUSTED_PROXY_COUNT), or that of the
    connection; None where there is none, as on a Unix socket."""
    try:
        return str(get_adapter(request).get_client_ip(request))
    except (PermissionDenied, ImproperlyConfigured):  # no address; or fewer proxies than we trust
        return None
