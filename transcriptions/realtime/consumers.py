"""The WebSocket of the transcript page: the same events as SSE, one JSON object per message."""

from __future__ import annotations

import asyncio
import logging
import uuid
from contextlib import aclosing
from functools import partial
from io import BytesIO

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.core.handlers.asgi import ASGIRequest
from django.http import Http404

from accounts import concurrency, rate_limits
from accounts.authentication import is_session_valid
from accounts.rate_limits import Throttled
from transcriptions import permissions
from transcriptions.realtime import streams

log = logging.getLogger(__name__)

# Close codes (RFC 6455, section 7.4). Those from 4000 on are defined by the application: ours are
# 4000 plus the HTTP status. The server cannot send others (such as 1011). After all of them except
# CLOSE_NORMAL and CLOSE_NOT_FOUND the page reconnects.
CLOSE_NORMAL = 1000
CLOSE_NOT_FOUND = 4404
CLOSE_TOO_MANY = 4429
CLOSE_INTERNAL_ERROR = 4500


class TranscriptionConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """`/ws/transcriptions/{id}/?after=N`: events after N from the database, then live."""

    async def connect(self) -> None:
        """Start sending events. Close if the user is not the owner, or has too many connections."""
        await self.accept()
        self.sender: asyncio.Task[None] | None = None
        transcription_id = self.scope["url_route"]["kwargs"]["transcription_id"]
        find = database_sync_to_async(self._find, thread_sensitive=False)
        try:
            await find(transcription_id)
        except Http404:
            await self.close(CLOSE_NOT_FOUND)
        except Throttled:
            await self.close(CLOSE_TOO_MANY)
        else:
            self.sender = asyncio.create_task(self._send_events(transcription_id))

    async def disconnect(self, code: int) -> None:
        """Stop sending, which also leaves the event group."""
        if self.sender:
            self.sender.cancel()

    def _find(self, transcription_id: uuid.UUID) -> None:
        """Count the handshake as a request, and look for the recording.

        Raises Throttled, Http404.
        """
        request = ASGIRequest(self.scope | {"method": "GET"}, BytesIO())
        request.user = self.scope["user"]
        rate_limits.count_page(request)
        permissions.transcription_for(request.user, transcription_id)

    async def _send_events(self, transcription_id: uuid.UUID) -> None:
        user = self.scope["user"]
        is_authorized = partial(is_session_valid, user, self.scope["session"])
        try:
            with concurrency.streams.hold(user):
                events = streams.subscribe_while_authorized(
                    is_authorized, user.pk, transcription_id, self._after()
                )
                async with aclosing(events):
                    async for event in events:
                        if event is not None:
                            await self.send(event.as_json)
            await self.close(CLOSE_NORMAL)
        except Throttled:
            await self.close(CLOSE_TOO_MANY)
        except Exception:
            log.exception("%s: sending events over the WebSocket failed", transcription_id)
            await self.close(CLOSE_INTERNAL_ERROR)

    def _after(self) -> int:
        """The query parameter `after`; if it is missing or not a number, send every event."""
        parameters = dict(
            pair.partition("=")[::2] for pair in self.scope["query_string"].decode().split("&")
        )
        try:
            return max(streams.BEFORE_FIRST_EVENT, int(parameters["after"]))
        except (KeyError, ValueError):
            return streams.BEFORE_FIRST_EVENT
