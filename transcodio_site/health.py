"""The health check, for load balancers and monitoring."""

from __future__ import annotations

import logging
import selectors
import threading
import time
from collections.abc import Callable
from contextlib import closing

import psycopg
import redis
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, JsonResponse
from redis.backoff import NoBackoff
from redis.retry import Retry

from transcodio_site import __version__

log = logging.getLogger(__name__)

TIMEOUT_S = 2  # for each server to accept a connection, and again to answer
MAX_AGE_S = 1.0  # of a result that is used again, so that many requests cause one check


def health(request: HttpRequest) -> JsonResponse:
    """200 when Postgres and Valkey answer, else 503. `checks` has the result of each.

    Both are asked over connections of their own: neither a hanging server nor a busy pool delays
    the response for more than a few seconds.
    """
    checks = {name: _latest(name) for name in CHECKS}
    healthy = all(result == "ok" for result in checks.values())
    body = {"status": "healthy" if healthy else "unhealthy", "version": __version__}
    return JsonResponse(body | {"checks": checks}, status=200 if healthy else 503)


def _check_postgres() -> None:
    parameters = connection.get_connection_params() | {"connect_timeout": TIMEOUT_S}
    with closing(psycopg.connect(**parameters, autocommit=True)) as own:
        # Not `execute`, which would wait for a hanging server forever.
        own.pgconn.send_query(b"SELECT 1")
        with selectors.DefaultSelector() as selector:
            selector.register(own, selectors.EVENT_READ)
            if not selector.select(TIMEOUT_S):
                raise TimeoutError("Postgres does not answer")


def _check_valkey() -> None:
    with redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=TIMEOUT_S,
        socket_connect_timeout=TIMEOUT_S,
        retry=Retry(NoBackoff(), retries=0),
    ) as client:
        client.ping()


def _latest(name: str) -> str:
    """The result of a check that began at most MAX_AGE_S before this call, or of a new one."""
    called_at = time.monotonic()
    with _locks[name]:
        began_at, result = _results.get(name, (float("-inf"), ""))
        if began_at < called_at - MAX_AGE_S:
            began_at = time.monotonic()
            result = _result(name, CHECKS[name])
            _results[name] = (began_at, result)
    return result


def _result(name: str, check: Callable[[], None]) -> str:
    try:
        check()
    except (psycopg.Error, redis.RedisError, OSError) as error:
        log.warning("%s is unavailable: %s", name, error)
        return "unavailable"
    return "ok"


CHECKS: dict[str, Callable[[], None]] = {"postgres": _check_postgres, "valkey": _check_valkey}
_locks = {name: threading.Lock() for name in CHECKS}
_results: dict[str, tuple[float, str]] = {}
