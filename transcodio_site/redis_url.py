"""Which servers REDIS_URL may name: one Valkey or Redis, not a Sentinel and not a cluster."""

from __future__ import annotations

import logging
from contextlib import closing

import redis
from django.core.exceptions import ImproperlyConfigured
from redis.backoff import NoBackoff
from redis.retry import Retry

log = logging.getLogger(__name__)

SCHEMES = ("redis", "rediss", "unix")
TIMEOUT_S = 2.0
HINT = "Set REDIS_URL to one server, such as redis://host:6379/0, or to a proxy in front of it."


def check_redis_url(url: str) -> None:
    """Refuse URLs that some of the libraries we use do not understand. Raises ImproperlyConfigured.

    The message contains only the scheme: the rest of the URL may have a password.
    """
    scheme = url.partition("://")[0]
    if scheme not in SCHEMES:
        raise ImproperlyConfigured(f"REDIS_URL={scheme}://... is not supported. {HINT}")


def check_server_mode(url: str) -> None:
    """Refuse a Sentinel or a node of a cluster: there, only some commands would fail, and late.

    A server that is unreachable, or that gives no information about itself, is not refused.
    Raises ImproperlyConfigured.
    """
    mode = _server_mode(url)
    if mode not in ("", "standalone"):
        raise ImproperlyConfigured(f"The server of REDIS_URL runs as {mode}. {HINT}")


def _server_mode(url: str) -> str:
    """`standalone`, `sentinel` or `cluster`; empty if it is unknown."""
    no_retry = Retry(NoBackoff(), retries=0)
    client = redis.Redis.from_url(
        url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, retry=no_retry
    )
    try:
        with closing(client):
            information = client.info("server")
    except (redis.RedisError, OSError) as error:
        log.warning("Valkey does not say how it runs: %s", error)
        return ""
    mode = information.get("redis_mode") or information.get("server_mode")  # Valkey's name for it
    return str(mode or "")
