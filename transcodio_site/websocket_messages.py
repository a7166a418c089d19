"""How large the messages of WebSockets may be, and how many may wait for the application."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

# OpenAI's clients may append 15 MiB of audio, which are 20 MiB in Base64. Elsewhere 1 MiB, Daphne's
# default, is the largest message.
LARGE_MESSAGES = {b"/v1/realtime": (20 << 20) + (64 << 10)}
MAX_WAITING_BYTES = 32 << 20
CLOSE_TOO_FAST = 4413


def allow_large_messages(protocol: Any) -> None:
    """Call this after a WebSocket was accepted: before that, the client is unknown."""
    if size := LARGE_MESSAGES.get(protocol.path):
        protocol.maxMessagePayloadSize = protocol.maxFramePayloadSize = size


class BoundedMessages:
    """The queue in which Daphne puts messages for an application. While one is processed, others
    wait in memory: a client that sends more than MAX_WAITING_BYTES meanwhile is disconnected."""

    def __init__(self, protocol: Any, queue: asyncio.Queue[dict[str, Any]]) -> None:
        self._protocol, self._queue = protocol, queue
        self._sizes = deque[int]()  # of the messages in the queue
        self._is_closed = False

    def put_nowait(self, message: dict[str, Any]) -> None:
        """The next message."""
        is_sent = message["type"] == "websocket.receive"
        if is_sent and self._is_closed:
            return
        while len(self._sizes) > self._queue.qsize():
            self._sizes.popleft()
        size = len(message.get("bytes") or message.get("text") or "")
        if is_sent and sum(self._sizes) + size > MAX_WAITING_BYTES:
            self._is_closed = True
            self._protocol.serverClose(code=CLOSE_TOO_FAST)
            return
        self._sizes.append(size)
        self._queue.put_nowait(message)
