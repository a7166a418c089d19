"""Limits of what one user can do at the same time.

They are counted in memory, in each web process on its own: a crash leaves no count behind.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from typing import TypeVar

from django.conf import settings
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.rate_limits import Throttled

RETRY_AFTER_S = 2

Chunk = TypeVar("Chunk")


class TooManyParallel(Throttled):
    """The user has as many requests of this kind as allowed, or the process has."""

    code = "too_many_parallel_requests"

    def __init__(self) -> None:
        message = _("Too many of these requests are open. Close some, or try again in a moment.")
        super().__init__(message, RETRY_AFTER_S)


class ConcurrencyLimit:
    """At most `per_user` at a time for each user, and `in_total` for all users, in this process.

    Both are names of settings; without `in_total` there is no limit for all users.
    """

    def __init__(self, per_user: str, in_total: str = "") -> None:
        self._per_user, self._in_total = per_user, in_total
        self._lock = threading.Lock()
        self._open: Counter[int] = Counter()

    def check(self, user: User) -> None:
        """Raises TooManyParallel if `hold` would raise it now."""
        with self._lock:
            self._raise_if_reached(user.pk)

    @contextmanager
    def hold(self, user: User) -> Iterator[None]:
        """Count one more while the body runs. Raises TooManyParallel."""
        with self._lock:
            self._raise_if_reached(user.pk)
            self._open[user.pk] += 1
        try:
            yield
        finally:
            with self._lock:
                self._open[user.pk] -= 1
                if not self._open[user.pk]:
                    del self._open[user.pk]

    async def hold_while_sent(
        self, user: User, chunks: AsyncGenerator[Chunk]
    ) -> AsyncGenerator[Chunk]:
        """Count one more while the chunks of a response are sent. Raises TooManyParallel.

        Call `check` first, in the view: there is no status left for an error in a response that has
        begun. The view cannot hold it, because a response that is dropped before it begins would
        never release it.
        """
        async with aclosing(chunks):
            with self.hold(user):
                async for chunk in chunks:
                    yield chunk

    def _raise_if_reached(self, user_id: int) -> None:
        total = getattr(settings, self._in_total) if self._in_total else float("inf")
        if self._open[user_id] >= getattr(settings, self._per_user):
            raise TooManyParallel
        if self._open.total() >= total:
            raise TooManyParallel


# Responses that last: event streams, WebSockets, and requests that wait for a transcript.
streams = ConcurrencyLimit("MAX_STREAMS_PER_USER")
# Queries that read many rows.
searches = ConcurrencyLimit("MAX_SEARCHES_PER_USER", "MAX_SEARCHES")
exports = ConcurrencyLimit("MAX_EXPORTS_PER_USER")
