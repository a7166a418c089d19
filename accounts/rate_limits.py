"""Rate limits of requests, counted in Valkey over a sliding window.

API requests are counted by token and by user, pages by user, and requests without a valid token or
session by address.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_network

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import gettext
from limits import RateLimitItem, parse
from limits.storage import RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from redis import ConnectionPool, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from accounts.client_ip import get_client_ip
from accounts.models import ApiToken, User

log = logging.getLogger(__name__)

TIMEOUT_S = 2.0  # for each command to Valkey
# Key of the ASGI scope: the state after the request was counted. The server has large uploads
# authenticated twice, before and after their body.
COUNTED = "transcodio.rate_limit"


class Throttled(Exception):
    """A limit is exceeded. `str()` names it; after `wait` seconds the request may be repeated."""

    code = "rate_limited"
    status = 429  # of the response

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
        """The headers of draft-ietf-httpapi-ratelimit-headers, in the form with one header per
        number."""
        return {
            "RateLimit-Limit": str(self.item.amount),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset),
            "RateLimit-Policy": f"{self.item.amount};w={self.item.get_expiry()}",
        }


def count_request(request: HttpRequest, user: User, token: ApiToken | None = None) -> None:
    """Count this API request, and set `request.rate_limit` to the state of the tightest limit.

    A request that is authenticated again is not counted again. Raises Throttled. While Valkey is
    unavailable, all requests pass and none are counted.
    """
    scope = getattr(request, "scope", {})
    if state := scope.get(COUNTED):
        request.rate_limit = state  # type: ignore[attr-defined]
        return
    limits = [(settings.RATE_LIMIT_PER_USER, "user", user.pk)]
    if token:
        limits.insert(0, (settings.RATE_LIMIT_PER_TOKEN, "token", token.pk))
    outcomes = []
    for rate, kind, key in limits:
        if (outcome := _hit(rate, kind, key)) is None:
            return
        outcomes.append((*outcome, kind))
        if not outcome[0]:
            break  # a request over the token's limit must not use up the user's
    passed, tightest, kind = min(outcomes, key=lambda o: (o[0], o[1].remaining))
    request.rate_limit = scope[COUNTED] = tightest  # type: ignore[attr-defined]
    if not passed:
        raise Throttled(_message(tightest, kind), tightest.reset)


def count_wrong_token(request: HttpRequest) -> None:
    """Count a request with an unknown, expired or revoked token against its IP address.

    Raises Throttled. Requests with a valid token pass in any case: programs behind one address must
    not lock each other out, and 256 random bits cannot be guessed.
    """
    if address := get_client_ip(request):
        _count(settings.RATE_LIMIT_WRONG_TOKENS, "wrong token", _network(address))


def count_page(request: HttpRequest) -> None:
    """Count this request for a page, or for a WebSocket, by its user or else by its address.

    Raises Throttled.
    """
    if request.user.is_authenticated:
        _count(settings.RATE_LIMIT_PAGES, "page", request.user.pk)
    else:
        count_anonymous(request)


def count_anonymous(request: HttpRequest) -> None:
    """Count this request by its address, IPv6 addresses by their /64 network. Raises Throttled."""
    if address := get_client_ip(request):
        _count(settings.RATE_LIMIT_PER_ADDRESS, "address", _network(address))


def _network(address: str) -> str:
    """One customer usually has a whole /64 network of IPv6 addresses."""
    prefix = 64 if ":" in address else 32
    return str(ip_network(f"{address}/{prefix}", strict=False))


def _count(rate: str, kind: str, key: object) -> None:
    passed, state = _hit(rate, kind, key) or (True, None)
    if state and not passed:
        raise Throttled(_message(state, kind), state.reset)


def _message(state: RateLimitState, kind: str) -> str:
    message = {
        "token": gettext("Rate limit of this token exceeded (%(limit)s). Try again in %(wait)s s."),
        "user": gettext("Rate limit of this user exceeded (%(limit)s). Try again in %(wait)s s."),
        "wrong token": gettext("Too many requests with an invalid token. Try again in %(wait)s s."),
    }.get(kind, gettext("Too many requests (limit: %(limit)s). Try again in %(wait)s s."))
    return message % {"limit": state.item, "wait": state.reset}


def _hit(rate: str, kind: str, key: object) -> tuple[bool, RateLimitState] | None:
    """Count one request. Return whether it is within the limit, and the state after it; None if
    Valkey is unavailable."""
    item = parse(rate)
    try:
        limiter = _limiter(settings.REDIS_URL)
        passed = limiter.hit(item, kind, str(key))
        reset, remaining = limiter.get_window_stats(item, kind, str(key))
    except (RedisError, OSError) as error:
        log.warning("requests are not counted: %s", error)
        return None
    seconds = max(1, math.ceil(reset - time.time()))
    return passed, RateLimitState(item, remaining if passed else 0, seconds)


@cache
def _limiter(url: str) -> SlidingWindowCounterRateLimiter:
    # RedisStorage requires a URL even when it gets a pool, and then connects only by the pool.
    no_retry = Retry(NoBackoff(), retries=0)  # every request would wait for the retries
    pool = ConnectionPool.from_url(
        url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, retry=no_retry
    )
    return SlidingWindowCounterRateLimiter(RedisStorage("redis://", connection_pool=pool))
