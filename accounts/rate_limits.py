"""Rate limits of requests by token and by user, counted in Valkey over a sliding window."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass
from functools import cache

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import gettext
from limits import RateLimitItem, parse
from limits.storage import RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from redis import ConnectionPool, RedisError

from accounts.client_ip import get_client_ip
from accounts.models import ApiToken, User

log = logging.getLogger(__name__)


# Key of the ASGI scope: the state after the request was counted. The server has large uploads
# authenticated twice, before and after their body.
COUNTED = "transcodio.rate_limit"


class Throttled(Exception):
    """A limit is exceeded. `str()` names it; after `wait` seconds the request may be repeated."""

    code = "rate_limited"

    def __init__(self, detail: str, wait: int) -> None:
        super().__init__(detail)
        self.wait = wait


@dataclass(frozen=True, slots=True)
class RateLimitState:
    """What is left of a limit: `remaining` requests, and one more after `reset` seconds."""

    item: RateLimitItem
    remaining: int
    reset: int

    @property
    def headers(self) -> dict[str, str]:
        """The headers of draft-ietf-httpapi-ratelimit-headers, in its form with one per number."""
        return {
            "RateLimit-Limit": str(self.item.amount),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset),
            "RateLimit-Policy": f"{self.item.amount};w={self.item.get_expiry()}",
        }


def count_request(request: HttpRequest, user: User, token: ApiToken | None = None) -> None:
    """Count this request, and set `request.rate_limit` to the state of the tightest limit.

    A request that is authenticated again is not counted again. Raises Throttled. While Valkey is
    unavailable, all requests pass and none are counted.
    """
    scope = getattr(request, "scope", {})
    if state := scope.get(COUNTED):
        request.rate_limit = state  # type: ignore[attr-defined]
        return
    limits = [(parse(settings.RATE_LIMIT_PER_USER), "user", user.pk)]
    if token:
        limits.insert(0, (parse(settings.RATE_LIMIT_PER_TOKEN), "token", token.pk))
    outcomes = []
    try:
        for item, kind, key in limits:
            outcomes.append((_hit(item, kind, key), kind))
            if not outcomes[-1][0][0]:
                break  # a request refused for its token must not use up the limit of the user
    except (RedisError, OSError) as error:
        log.warning("requests are not counted: %s", error)
        return
    (passed, tightest), kind = min(outcomes, key=lambda o: (o[0][0], o[0][1].remaining))
    request.rate_limit = scope[COUNTED] = tightest  # type: ignore[attr-defined]
    if not passed:
        raise Throttled(_message(tightest, kind), tightest.reset)


def count_wrong_token(request: HttpRequest) -> None:
    """Count a request with an unknown, expired or revoked token for its IP address.

    Raises Throttled. Requests with a valid token pass in any case: programs behind one address must
    not lock each other out, and 256 random bits cannot be guessed.
    """
    address = get_client_ip(request)
    if address is None:
        return
    try:
        passed, state = _hit(parse(settings.RATE_LIMIT_WRONG_TOKENS), "wrong token", address)
    except (RedisError, OSError) as error:
        log.warning("requests are not counted: %s", error)
        return
    if not passed:
        message = gettext("Too many requests with an invalid token. Try again in %(seconds)s s.")
        raise Throttled(message % {"seconds": state.reset}, state.reset)


def _message(state: RateLimitState, kind: str) -> str:
    if kind == "token":
        message = gettext(
            "Rate limit of this token exceeded (%(limit)s). Try again in %(seconds)s s."
        )
    else:
        message = gettext(
            "Rate limit of this user exceeded (%(limit)s). Try again in %(seconds)s s."
        )
    return message % {"limit": state.item, "seconds": state.reset}


def _hit(item: RateLimitItem, kind: str, key: int | str) -> tuple[bool, RateLimitState]:
    """Count one request. Return whether it is within the limit, and the state after it."""
    limiter = _limiter(settings.REDIS_URL)
    passed = limiter.hit(item, kind, str(key))
    reset, remaining = limiter.get_window_stats(item, kind, str(key))
    seconds = max(1, math.ceil(reset - time.time()))
    return passed, RateLimitState(item, remaining if passed else 0, seconds)


@cache
def _limiter(url: str) -> SlidingWindowCounterRateLimiter:
    # RedisStorage requires a URL even when it gets a pool, and then connects only by the pool.
    pool = ConnectionPool.from_url(url, socket_timeout=2)
    return SlidingWindowCounterRateLimiter(RedisStorage("redis://", connection_pool=pool))
