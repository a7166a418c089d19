"""Shared by all WebSockets that accept audio: who may connect, and how audio gets into the
database."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from channels.db import database_sync_to_async
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer

from transcriptions.live import sessions
from transcriptions.live.authentication import Client, Refused
from transcriptions.models import LiveSession

log = logging.getLogger(__name__)

STORE_INTERVAL_S = 0.1  # at least, between the storage of two pieces
# After a burst, audio is accepted at most this much faster than real time: a client may have kept
# it while it was offline.
MAX_SPEED, BURST_S = 4.0, 60.0
MAX_WAITING_COMMITS = 1000
MAX_PIECE_BYTES = 4 << 20  # stored as one row after a client has disconnected
BROWSER_SUBPROTOCOL = "transcodio"
CLOSE_STATUS = 4000  # and the status that the handshake would have had
MAX_UNSTORED_BYTES = 8 << 20  # of audio that the client has sent too fast, before its last message

Result = TypeVar("Result")
Confirm = Callable[[int], Awaitable[None]]  # gets the number of stored bytes
Committed = Callable[[int], Awaitable[None]]  # gets the number of a commit


async def in_thread(function: Callable[..., Result], *arguments: Any) -> Result:
    """Call a function that uses the database."""
    call = database_sync_to_async(function, thread_sensitive=False)
    result: Result = await call(*arguments)
    return result


class TooFast(Exception):
    """Audio or commits arrive faster than they can be stored."""


class AudioInput:
    """The audio of one connection on its way to the database: memory is bounded, and stored audio
    is confirmed."""

    def __init__(self, session: LiveSession, bytes_per_second: int) -> None:
        self.session, self.received = session, session.received_bytes
        self._rate = bytes_per_second
        self._waiting = bytearray()
        self._taken = 0  # bytes that have left `_waiting`
        self._commits = deque[tuple[int, Committed]]()  # they wait for the bytes before them
        self._changed = asyncio.Event()
        self._storing = asyncio.Lock()
        self._closed = False
        self._allowed, self._at = BURST_S * bytes_per_second, time.monotonic()

    def add(self, data: bytes) -> None:
        """Audio has arrived. It is ignored if the session has ended, which the client may not know
        yet. Raises TooFast."""
        if self._closed:
            return
        if len(self._waiting) > MAX_UNSTORED_BYTES:
            raise TooFast
        self._waiting += data
        self._changed.set()

    def commit(self, committed: Committed) -> None:
        """A turn ends here. `committed` gets the number of the commit when the audio before it is
        stored. Raises TooFast."""
        if len(self._commits) >= MAX_WAITING_COMMITS:
            raise TooFast
        self._commits.append((self._taken + len(self._waiting), committed))
        self._changed.set()

    def close(self) -> None:
        """No more audio arrives. The rest is stored without delay."""
        self._closed = True
        self._changed.set()

    async def store(self, confirm: Confirm) -> None:
        """Store the audio as it arrives, until `close`; `confirm` gets the number of stored bytes.
        Raises SessionEnded, TakenOver."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self.flush(confirm)
            if self._closed and not self._waiting:
                return
            await asyncio.sleep(STORE_INTERVAL_S)

    async def settle(self) -> None:
        """Wait until the audio that is being stored is confirmed."""
        async with self._storing:
            pass

    async def flush(self, confirm: Confirm) -> None:
        """Store the audio that has arrived, including what arrives meanwhile."""
        async with self._storing:
            while self._waiting or self._commits:
                end = self._commits[0][0] - self._taken if self._commits else len(self._waiting)
                if end:
                    is_complete = await self._append(await self._next_bytes(end))
                    await confirm(self.received)
                    if not is_complete:
                        raise await in_thread(sessions.why_refused, self.session)
                else:
                    number = await in_thread(sessions.commit, self.session)
                    _, committed = self._commits.popleft()
                    await committed(number)

    async def _append(self, length: int) -> bool:
        """Whether all of it is stored. The rest is over the longest duration."""
        data, end = bytes(self._waiting[:length]), self.received + length
        self.received = await in_thread(sessions.append, self.session, self.received, data)
        del self._waiting[:length]
        self._taken += length
        return self.received == end

    async def _next_bytes(self, available: int) -> int:
        """How many bytes may be stored now. Waits until it is STORE_INTERVAL_S of speech, or all
        that is available."""
        least = min(available, round(STORE_INTERVAL_S * self._rate))
        while not self._closed:
            now = time.monotonic()
            self._allowed += (now - self._at) * MAX_SPEED * self._rate
            self._allowed, self._at = min(self._allowed, BURST_S * self._rate), now
            if self._allowed >= least:
                taken = min(available, int(self._allowed))
                self._allowed -= taken
                return taken
            await asyncio.sleep(STORE_INTERVAL_S)
        return min(available, MAX_PIECE_BYTES)


def accepted_subprotocol(offered: list[str]) -> str | None:
    """A subprotocol that is not a secret: browsers require one of those that they have offered."""
    return next((name for name in offered if "." not in name), None)


class AudioConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """A WebSocket that refuses handshakes with a status and a reason."""

    client: Client

    async def refuse(self, error: Refused) -> None:
        """Answer the handshake with a JSON error. The scripts of a page cannot see it: those that
        offer BROWSER_SUBPROTOCOL get a message and a close code instead."""
        if BROWSER_SUBPROTOCOL in self.scope["subprotocols"]:
            await self.accept(BROWSER_SUBPROTOCOL)
            await self.send_json({"type": "refused", "code": error.code, "detail": str(error)})
            await self.close(CLOSE_STATUS + error.status)
            raise StopConsumer
        content = json.dumps(self.refusal(error)).encode()
        headers = [(b"content-type", b"application/json")]
        if error.retry_after_s:
            headers.append((b"retry-after", str(error.retry_after_s).encode()))
        start = {"type": "websocket.http.response.start", "status": error.status}
        await self.base_send(start | {"headers": headers})
        await self.base_send({"type": "websocket.http.response.body", "body": content})
        raise StopConsumer

    def refusal(self, error: Refused) -> dict[str, Any]:
        """The response body for a refused handshake."""
        return {"code": error.code, "detail": str(error)}

    async def send_json(self, message: dict[str, Any]) -> None:
        """Send one JSON object."""
        await self.send(json.dumps(message, ensure_ascii=False))
