"""`WS /api/live`: audio in, events out. See docs/live.md."""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from contextlib import aclosing, suppress
from typing import Any
from urllib.parse import unquote

from django.http import Http404, QueryDict
from django.utils.translation import gettext as _
from pydantic import ValidationError

from accounts import concurrency
from accounts.rate_limits import Throttled
from transcriptions.exceptions import DATABASE_AWAY
from transcriptions.live import sessions
from transcriptions.live.authentication import Client, Refused, authenticate
from transcriptions.live.endings import wait_for_end
from transcriptions.live.sessions import LiveParams, SessionEnded, TakenOver
from transcriptions.live.sockets import (
    AudioConsumer,
    AudioInput,
    TooFast,
    accepted_subprotocol,
    in_thread,
)
from transcriptions.models import LiveSession
from transcriptions.processing import live_recording
from transcriptions.realtime import streams
from transcriptions.realtime.consumers import (
    CLOSE_INTERNAL_ERROR,
    CLOSE_NORMAL,
    CLOSE_TOO_MANY,
)
from transcriptions.uploads.service import UploadRefused

log = logging.getLogger(__name__)

LAST_STORE_TIMEOUT_S = 10.0  # for audio that arrived before the client disconnected
CLOSE_BAD_MESSAGE = 4400
CLOSE_UNAUTHORIZED = 4401
CLOSE_TAKEN_OVER = 4409
CLOSE_TOO_FAST = 4413


class LiveConsumer(AudioConsumer):
    """Binary messages are audio. Text messages are `{"type": "commit"}` and `{"type": "end"}`.

    The server sends `session` first, `received` when audio is stored, `ended` when no more is
    accepted, and the events of the recording.
    """

    async def connect(self) -> None:
        """Open a session, or resume the one in the query."""
        self.tasks: list[asyncio.Task[None]] = []
        self.telling_end, self.is_end_told = asyncio.Lock(), False
        query = QueryDict(self.scope["query_string"])
        try:
            self.client = await in_thread(authenticate, self.scope)
            session = await in_thread(_find_or_open, self.client, query)
        except Refused as error:
            await self.refuse(error)
        await self.accept(accepted_subprotocol(self.scope["subprotocols"]))
        coding = live_recording.coding_of(session)
        self.input = AudioInput(session, coding.bytes_per_second)
        await self.send_json(
            {
                "type": "session",
                "session": str(session.pk),
                "received": session.received_bytes,
                "bytes_per_second": coding.bytes_per_second,
                "url": f"/transcriptions/{session.pk}/",
            }
        )
        after = _after(query)
        self.tasks = [
            asyncio.create_task(self._guarded(self._store())),
            asyncio.create_task(self._guarded(self._send_events(session, after))),
            asyncio.create_task(self._guarded(self._watch_end(session))),
        ]

    async def disconnect(self, code: int) -> None:
        """Store the audio that has arrived. The session continues, unless it has received no
        audio."""
        if self.tasks:
            self.input.close()
            with suppress(SessionEnded, TakenOver, Throttled, TimeoutError, *DATABASE_AWAY):
                async with asyncio.timeout(LAST_STORE_TIMEOUT_S):
                    await self.input.flush(_nobody)
                    if not self.input.received:
                        await in_thread(sessions.end, self.input.session)
        for task in self.tasks:  # only now: the task that stores audio must not be interrupted
            task.cancel()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Process audio or a command."""
        try:
            if bytes_data is not None:
                self.input.add(bytes_data)
            else:
                await self._obey(text_data or "")
        except TooFast:
            await self._fail(CLOSE_TOO_FAST, "too_fast", _("The audio arrives too fast."))
        except SessionEnded as error:
            await self._ended(error)
        except TakenOver:
            await self._taken_over()
        except Throttled as error:
            await self._too_many(error)

    async def _obey(self, text: str) -> None:
        session = self.input.session
        match _command(text):
            case "commit":
                self.input.commit(self._committed)
            case "end":
                self.input.close()
                await self.input.flush(self._confirm)
                await in_thread(sessions.end, session)
            case _:
                message = _('Text messages are {"type": "commit"} or {"type": "end"}.')
                await self._fail(CLOSE_BAD_MESSAGE, "bad_message", message)

    async def _store(self) -> None:
        try:
            await self.input.store(self._confirm)
        except SessionEnded as error:
            await self._ended(error)
        except TakenOver:
            await self._taken_over()

    async def _confirm(self, received: int) -> None:
        await self.send_json({"type": "received", "received": received})

    async def _committed(self, number: int) -> None:
        await self.send_json({"type": "committed", "commit": number})

    async def _send_events(self, session: LiveSession, after: int) -> None:
        with concurrency.streams.hold(self.client.user):
            events = streams.subscribe_while_authorized(
                self.client.is_authorized, self.client.user.pk, session.pk, after
            )
            has_ended = False
            async with aclosing(events):
                async for event in events:
                    if event is None:
                        continue
                    has_ended = event.type in ("complete", "error")
                    if has_ended and (reason := await in_thread(sessions.find_end, session)):
                        await self._ended(reason)
                    await self.send(event.as_json)
        if has_ended:
            await self.close(CLOSE_NORMAL)
        else:
            await self._unauthorized()

    async def _guarded(self, work: Any) -> None:
        try:
            await work
        except Throttled as error:
            await self._too_many(error)
        except Exception:
            log.exception("%s: the WebSocket failed", self.input.session.pk)
            await self.close(CLOSE_INTERNAL_ERROR)

    async def _watch_end(self, session: LiveSession) -> None:
        await self._ended(await wait_for_end(session))

    async def _ended(self, error: SessionEnded) -> None:
        """Called when no more audio is accepted, by whoever notices it. The last events follow."""
        self.input.close()
        await self.input.settle()
        async with self.telling_end:
            if not self.is_end_told:
                self.is_end_told = True
                message = {"type": "ended", "reason": error.reason, "detail": str(error)}
                await self.send_json(message)

    async def _unauthorized(self) -> None:
        if self.client.token:
            code, message = "invalid_token", _("The API token is unknown, expired or revoked.")
        else:
            code, message = "not_authenticated", _("You have been signed out.")
        await self._fail(CLOSE_UNAUTHORIZED, code, message)

    async def _taken_over(self) -> None:
        message = _("Another connection has taken over this session.")
        await self._fail(CLOSE_TAKEN_OVER, "taken_over", message)

    async def _too_many(self, error: Throttled) -> None:
        await self._fail(CLOSE_TOO_MANY, error.code, str(error))

    async def _fail(self, close_code: int, code: str, detail: str) -> None:
        await self.send_json({"type": "refused", "code": code, "detail": detail})
        await self.close(close_code)


async def _nobody(received: int) -> None:
    """Confirm nothing: the client has disconnected."""


def _command(text: str) -> str:
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    return str(message.get("type", "")) if isinstance(message, dict) else ""


def _after(query: QueryDict) -> int:
    """The id of the last event that the client has."""
    try:
        return max(streams.BEFORE_FIRST_EVENT, int(query.get("after", "")))
    except ValueError:
        return streams.BEFORE_FIRST_EVENT


def _find_or_open(client: Client, query: QueryDict) -> LiveSession:
    """Raises Refused."""
    if "\0" in unquote(query.urlencode()):
        message = _("Text must not contain null characters.")
        raise Refused(422, "invalid_parameters", message)
    if query.get("account", str(client.user.pk)) != str(client.user.pk):
        message = _("Another account has signed in. Sign in with yours again to continue.")
        raise Refused(403, "other_account", message)
    try:
        if "session" in query:
            return sessions.session_for(client.user, uuid.UUID(str(query["session"])))
        return sessions.open_session(client.user, client.token, _params(query))
    except (Http404, ValueError) as error:
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            raise Refused(422, "invalid_parameters", f"{name}: {first['msg']}") from None
        raise Refused(404, "not_found", _("There is no such live session.")) from None
    except SessionEnded as error:
        raise Refused(409, "session_ended", str(error)) from None
    except UploadRefused as error:
        raise Refused(error.status, error.code, str(error)) from None
    except Throttled as error:
        raise Refused.throttled(error) from None


def _params(query: QueryDict) -> LiveParams:
    """Raises ValidationError."""
    lists = {"languages", "keywords"}
    given = {name: query.getlist(name) if name in lists else query[name] for name in query}
    for name in ("account", "after"):
        given.pop(name, None)
    return LiveParams.model_validate(given)
