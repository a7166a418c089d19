"""How much a token and its user may ask for: counted in Valkey, over a window that slides."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass
from functools import cache

from django.conf import settings
from django.http import HttpRequest
from limits import RateLimitItem, parse
from limits.storage import RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from redis import ConnectionPool, RedisError

from accounts.models import ApiToken, User

log = logging.getLogger(__name__)


class Throttled(Exception):
    """More than is allowed; `str()` says how much that is, `wait` in how many seconds there is
    room again."""

    code = "rate_limited"

    def __init__(self, detail: str, wait: int) -> None:
        super().__init__(detail)
        self.wait = wait


@dataclass(frozen=True, slots=True)
class RateLimitState:
    """What is left of a limit: `remaining` requests, and the next one more in `reset` seconds."""

    item: RateLimitItem
    remaining: int
    reset: int

    @property
    def headers(self) -> dict[str, str]:
        """draft-ietf-httpapi-ratelimit-headers, in the form with a header for each number."""
        return {
            "RateLimit-Limit": str(self.item.amount),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset),
            "RateLimit-Policy": f"{self.item.amount};w={self.item.get_expiry()}",
        }


def count(request: HttpRequest, user: User, token: ApiToken | None = None) -> None:
    """Counts this request, and puts the standing on it for the headers of its answer.

    Raises TooMany. While Valkey is away everybody may pass.
    """
    limits = [(parse(settings.RATE_LIMIT_PER_USER), "user", user.pk)]
    if token:
        limits.insert(0, (parse(settings.RATE_LIMIT_PER_TOKEN), "token", token.pk))
    outcomes = []
    try:
        for item, kind, key in limits:
            outcomes.append((_hit(item, kind, key), kind))
            if not outcomes[-1][0][0]:
                break  # what one token may not ask for takes nothing from the others
    except (RedisError, OSError) as error:
        log.warning("requests are not counted: %s", error)
        return
    (passed, tightest), kind = min(outcomes, key=lambda o: (o[0][0], o[0][1].remaining))
    request.rate_limit = tightest  # type: ignore[attr-defined]
    if not passed:
        sentence = f"More than {tightest.item} for this {kind}: wait {tightest.reset} s."
        raise Throttled(sentence, tightest.reset)


def _hit(item: RateLimitItem, kind: str, key: int) -> tuple[bool, RateLimitState]:
    limiter = _limiter(settings.REDIS_URL)
    passed = limiter.hit(item, kind, str(key))
    reset, remaining = limiter.get_window_stats(item, kind, str(key))
    seconds = max(1, math.ceil(reset - time.time()))
    return passed, RateLimitState(item, remaining if passed else 0, seconds)


@cache
def _limiter(url: str) -> SlidingWindowCounterRateLimiter:
    # The library wants an address, and the pool to be used.
    pool = ConnectionPool.from_url(url, socket_timeout=2)
    return SlidingWindowCounterRateLimiter(RedisStorage("redis://", connection_pool=pool))
