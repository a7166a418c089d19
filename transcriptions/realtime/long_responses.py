"""Long-lived responses: they are counted while they are sent, and occupy no thread."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Hashable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import TypeVar

from asgiref.sync import SyncToAsync
from django.http import StreamingHttpResponse

from accounts import concurrency

Chunk = TypeVar("Chunk", str, bytes)


def long_response(
    holder: Hashable,
    chunks: AsyncGenerator[Chunk],
    content_type: str,
    limit: concurrency.ConcurrencyLimit = concurrency.streams,
) -> StreamingHttpResponse:
    """A response that proxies must not buffer or compress. Like all others, it is not cached.
    Raises TooManyParallel: `limit` counts it for `holder`, a user unless said otherwise."""
    return StreamingHttpResponse(
        limit.hold_while_sent(holder, _release_view_thread(chunks)),
        content_type=content_type,
        headers={
            "Cache-Control": "no-transform",
            "X-Accel-Buffering": "no",  # nginx buffers responses otherwise
        },
    )


class _SharedThread(ThreadPoolExecutor):
    """The thread in which Django closes the responses of all streams. It belongs to no request."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Called at the end of each request: keep the thread for the others."""


_closing = _SharedThread(1, "close-streams")


async def _release_view_thread(chunks: AsyncGenerator[Chunk]) -> AsyncGenerator[Chunk]:
    """Stream without the view's thread.

    Django keeps the thread of a synchronous view until the response has been sent, which here is as
    long as the page is open. If only that thread were released, Django would start another one to
    close the response: a thousand when a thousand clients disconnect at the same time.
    """
    _replace_view_thread()
    async with aclosing(chunks):
        async for chunk in chunks:
            yield chunk


def _replace_view_thread() -> None:
    executors = SyncToAsync.context_to_thread_executor
    context = SyncToAsync.thread_sensitive_context.get(None)
    if context and (executor := executors.get(context)):
        executors[context] = _closing
        executor.shutdown(wait=False)
