"""Limits of what one user, or one address, can do at the same time.

Each web process counts in its own memory: a crash leaves no count behind.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Hashable, Iterator
from contextlib import ExitStack, aclosing, contextmanager
from typing import TypeVar
from weakref import finalize

from django.conf import settings
from django.utils.translation import gettext as _

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
    """At most `each` at a time for each holder, a user or an address, and `in_total` for all of
    them together, in this process.

    Both are names of settings; without `in_total` there is no overall limit. `error` creates the
    exception from the limit that was reached.
    """

    def __init__(
        self,
        each: str,
        in_total: str = "",
        error: Callable[[int], Throttled] = lambda limit: TooManyParallel(),
    ) -> None:
        self._each, self._in_total, self._error = each, in_total, error
        self._lock = threading.RLock()  # a response may be deleted, and release it, at any time
        self._open: Counter[Hashable] = Counter()

    def check(self, holder: Hashable) -> None:
        """Raises Throttled if `hold` would raise it now."""
        with self._lock:
            self._raise_if_reached(holder)

    @property
    def in_use(self) -> int:
        """How many are held now, by all holders."""
        with self._lock:
            return self._open.total()

    @contextmanager
    def hold(self, holder: Hashable) -> Iterator[None]:
        """Count one more while the body runs. Raises Throttled."""
        with self._lock:
            self._raise_if_reached(holder)
            self._open[holder] += 1
        try:
            yield
        finally:
            with self._lock:
                self._open[holder] -= 1
                if not self._open[holder]:
                    del self._open[holder]

    def hold_while_sent(
        self, holder: Hashable, chunks: AsyncGenerator[Chunk]
    ) -> AsyncGenerator[Chunk]:
        """Count one more until the chunks of a response have been sent. Raises Throttled.

        A response that is dropped before it begins, because the client has disconnected, is counted
        until it is deleted.
        """
        held = ExitStack()
        held.enter_context(self.hold(holder))
        sent = _released_at_end(held, chunks)
        finalize(sent, held.close)
        return sent

    def _raise_if_reached(self, holder: Hashable) -> None:
        limit = getattr(settings, self._each)
        if self._open[holder] >= limit:
            raise self._error(limit)
        if self._in_total and self._open.total() >= getattr(settings, self._in_total):
            raise self._error(getattr(settings, self._in_total))


async def _released_at_end(held: ExitStack, chunks: AsyncGenerator[Chunk]) -> AsyncGenerator[Chunk]:
    with held:
        async with aclosing(chunks):
            async for chunk in chunks:
                yield chunk


# Long-lived responses: event streams, WebSockets, and requests that wait for a transcript.
streams = ConcurrencyLimit("MAX_STREAMS_PER_USER")
# Live captions that visitors follow, counted by IP address.
captions = ConcurrencyLimit("MAX_CAPTIONS_PER_ADDRESS", "MAX_CAPTIONS")
# Queries that read many rows.
searches = ConcurrencyLimit("MAX_SEARCHES_PER_USER", "MAX_SEARCHES")
exports = ConcurrencyLimit("MAX_EXPORTS_PER_USER")
# Texts that are aligned with a transcript: each keeps a processor busy for seconds.
imports = ConcurrencyLimit("MAX_IMPORTS_PER_USER")
