"""Short commands to Valkey that must not wait for it."""

from __future__ import annotations

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

TIMEOUT_S = 2.0  # for a connection, and again for each answer


def connect() -> redis.Redis:
    """A connection of its own, to be used as a context manager. Commands raise redis.RedisError."""
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=TIMEOUT_S,
        socket_connect_timeout=TIMEOUT_S,
        retry=Retry(NoBackoff(), retries=0),
        decode_responses=True,
    )
