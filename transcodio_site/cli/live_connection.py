"""A live session over `WS /api/live`: audio is kept until the server has stored it, and a lost
connection is resumed where it was cut."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from transcodio_site.cli.client import ApiError, Busy, NotAuthorized, Unreachable

CHUNK_BYTES = 48_000
MAX_UNCONFIRMED_BYTES = 1 << 20  # that are sent before the server has confirmed older ones
MAX_DELAY_S = 10.0  # between attempts to connect again
MAX_LAST_ATTEMPTS = 5  # when there is no more audio
UNAUTHORIZED = ("invalid_token", "not_authenticated")

Json = dict[str, Any]


class SessionOver(ApiError):
    """The session accepts no more audio; its remaining events can be read elsewhere."""


class LiveConnection:
    """One session, over any number of connections."""

    def __init__(
        self,
        server: str,
        token: str,
        parameters: dict[str, str],
        on_message: Callable[[Json], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._url = f"{server.replace('http', 'ws', 1)}/api/live"
        self._server, self._token, self._parameters = server, token, parameters
        self._on_message, self._on_lost = on_message, on_lost
        self.session: Json | None = None  # the server's first message
        self.last_event_id = -1
        self._kept = bytearray()  # audio that the server has not confirmed
        self._confirmed = self._sent = 0  # bytes of the whole session
        self._has_all_audio = False
        self._changed = asyncio.Event()

    def add(self, audio: bytes) -> None:
        """More audio to send."""
        self._kept += audio
        self._changed.set()

    def finish(self) -> None:
        """No more audio follows."""
        self._has_all_audio = True
        self._changed.set()

    async def run(self) -> None:
        """Send and receive until the last event. Raises SessionOver, ApiError."""
        failures = 0
        while True:
            try:
                async with self._connect() as socket:
                    failures = 0
                    if await self._use(socket):
                        return
            except InvalidStatus as error:
                refused = _refusal(error)
                if self.session is None or not isinstance(refused, Busy):
                    raise refused from None
            except (OSError, InvalidHandshake, InvalidURI, ConnectionClosed) as error:
                is_pointless = self._has_all_audio and failures >= MAX_LAST_ATTEMPTS
                if self.session is None or is_pointless:
                    raise self._unreachable(error) from None
            if not failures:
                self._on_lost()
            failures += 1
            await asyncio.sleep(min(2.0 ** (failures - 1), MAX_DELAY_S))

    def _connect(self) -> connect:
        query = self._parameters
        if self.session:
            query = {"session": self.session["session"], "after": str(self.last_event_id)}
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        url = f"{self._url}?{urlencode(query)}"
        return connect(url, additional_headers=headers, max_size=None)

    def _unreachable(self, error: Exception) -> ApiError:
        return Unreachable(f"{self._server} does not respond: {error or type(error).__name__}")

    async def _use(self, socket: ClientConnection) -> bool:
        """Use one connection until it ends. Return whether the last event has arrived."""
        sending: asyncio.Task[None] | None = None
        try:
            async for text in socket:
                message = json.loads(text)
                if message["type"] == "session":
                    self._begin(message)
                    sending = asyncio.create_task(self._send(socket))
                self._receive(message)
                if message["type"] in ("complete", "error"):
                    return True
        finally:
            if sending:
                sending.cancel()
        return False

    def _begin(self, message: Json) -> None:
        self.session = message
        self._confirm(message["received"])
        self._sent = self._confirmed

    def _receive(self, message: Json) -> None:
        match message["type"]:
            case "received":
                self._confirm(message["received"])
            case "progress" | "metadata" | "complete" | "error":
                self.last_event_id = max(self.last_event_id, message["id"])
            case "refused" if message["code"] in UNAUTHORIZED:
                raise NotAuthorized(message["detail"])
            case "refused":
                raise ApiError(message["detail"])
        self._on_message(message)

    def _confirm(self, received: int) -> None:
        del self._kept[: received - self._confirmed]
        self._confirmed = received
        self._changed.set()

    async def _send(self, socket: ClientConnection) -> None:
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                while chunk := self._next_chunk():
                    self._sent += len(chunk)
                    await socket.send(chunk)
                if self._has_all_audio and self._sent == self._confirmed + len(self._kept):
                    await socket.send('{"type": "end"}')
                    return
        except ConnectionClosed:
            pass  # the receiving task notices it, too

    def _next_chunk(self) -> bytes:
        begin = self._sent - self._confirmed
        end = min(begin + CHUNK_BYTES, MAX_UNCONFIRMED_BYTES)
        return bytes(self._kept[begin:end])


def _refusal(error: InvalidStatus) -> ApiError:
    """Why the server does not accept a connection."""
    status = error.response.status_code
    try:
        message = str(json.loads(error.response.body or b"")["detail"])
    except (ValueError, KeyError, TypeError):
        message = f"The server responded with {status}."
    if status in (401, 403):
        return NotAuthorized(message)
    if status in (404, 409):
        return SessionOver(message)
    return Busy(message, 0) if status in (429, 502, 503, 504) else ApiError(message)
