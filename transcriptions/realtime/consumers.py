"""The dashboard's WebSocket: the same events as SSE, one JSON object per message."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from functools import partial
from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.http import Http404

from accounts.authentication import is_session_valid
from transcriptions import permissions
from transcriptions.realtime import streams

log = logging.getLogger(__name__)

NOT_FOUND = 4404  # close codes from 4000 on are the application's own
DONE = 1000


class TranscriptionConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """`/ws/transcriptions/{id}/?after=N`: what the database has after event N, then live."""

    # Events come by `subscribe`: a channel of the consumer's own would only hold a connection.
    channel_layer_alias = "none"

    async def connect(self) -> None:
        """Lets the owner in. A stranger learns no more than that there is nothing here."""
        await self.accept()
        self.sender: asyncio.Task[None] | None = None
        id = self.scope["url_route"]["kwargs"]["id"]
        find = database_sync_to_async(permissions.transcription_for, thread_sensitive=False)
        try:
            await find(self.scope["user"], id)
        except Http404:
            await self.close(NOT_FOUND)
            return
        self.sender = asyncio.create_task(self._send_events(id))

    async def disconnect(self, code: int) -> None:
        """Frees everything at once."""
        if self.sender:
            self.sender.cancel()

    async def _send_events(self, id: Any) -> None:
        try:
            welcome = partial(is_session_valid, self.scope["user"], self.scope["session"])
            async with aclosing(streams.follow(welcome, id, self._after())) as stream:
                async for event in stream:
                    if event is not None:
                        await self.send(event.model_dump_json())
            await self.close(DONE)
        except Exception:
            log.exception("%s: the WebSocket broke off", id)
            await self.close(1011)  # "internal error": the page connects again

    def _after(self) -> int:
        query = dict(
            pair.partition("=")[::2] for pair in self.scope["query_string"].decode().split("&")
        )
        try:
            return max(streams.NOTHING_SEEN, int(query["after"]))
        except (KeyError, ValueError):
            return streams.NOTHING_SEEN
