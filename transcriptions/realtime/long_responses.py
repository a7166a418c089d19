"""Responses that take long: they are counted while they are sent, and hold no thread."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from asgiref.sync import SyncToAsync
from django.http import StreamingHttpResponse

from accounts import concurrency
from accounts.models import User


def long_response(
    user: User, chunks: AsyncGenerator[str], content_type: str
) -> StreamingHttpResponse:
    """A response that proxies must not buffer or compress. As all others, it is not cached.
    Raises TooManyParallel."""
    concurrency.streams.check(user)
    return StreamingHttpResponse(
        concurrency.streams.hold_while_sent(user, _release_view_thread(chunks)),
        content_type=content_type,
        headers={
            "Cache-Control": "no-transform",
            "X-Accel-Buffering": "no",  # nginx buffers responses otherwise
        },
    )


async def _release_view_thread(chunks: AsyncGenerator[str]) -> AsyncGenerator[str]:
    """Stream without the view's thread.

    Django keeps the thread in which a synchronous view ran until the response has been sent, which
    here is as long as the page is open. Later synchronous calls get another thread.
    """
    context = SyncToAsync.thread_sensitive_context.get(None)
    if context and (executor := SyncToAsync.context_to_thread_executor.pop(context, None)):
        executor.shutdown(wait=False)
    async with aclosing(chunks):
        async for chunk in chunks:
            yield chunk
