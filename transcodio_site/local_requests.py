"""Requests of this machine's processes to the web server, which no proxy forwards."""

from __future__ import annotations

from django.conf import settings


def forwarded_headers() -> dict[str, str]:
    """The header in which a proxy says how it was reached. Without it, the web server redirects to
    https if SITE_URL does."""
    return {"X-Forwarded-Proto": str(settings.SITE_URL).partition(":")[0]}
