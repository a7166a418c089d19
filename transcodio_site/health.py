"""The health check, for load balancers and monitoring."""

from __future__ import annotations

import logging

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse

from transcodio_site import __version__

log = logging.getLogger(__name__)


def health(request: HttpRequest) -> JsonResponse:
    """200 when Postgres and Valkey answer, else 503."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2) as client:
            client.ping()
    except (DatabaseError, redis.RedisError, OSError) as error:
        log.warning("unhealthy: %s", error)
        return JsonResponse({"status": "unhealthy", "version": __version__}, status=503)
    return JsonResponse({"status": "healthy", "version": __version__})
