"""`WS /v1/realtime?intent=transcription`: OpenAI's Realtime API for transcription sessions. See
docs/live.md."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.http import QueryDict
from django.utils.translation import gettext as _

from accounts import concurrency
from accounts.rate_limits import Throttled
from transcriptions.api.openai.errors import InvalidParameter, error_body
from transcriptions.api.openai.realtime import beta, client_events
from transcriptions.api.openai.realtime.client_events import ClientError, ClientEvent
from transcriptions.api.openai.realtime.items import Conversation, Json, new_id
from transcriptions.api.openai.realtime.listening import Listening
from transcriptions.api.openai.realtime.settings import Session, initial_settings
from transcriptions.exceptions import DATABASE_AWAY
from transcriptions.live import sessions
from transcriptions.live.authentication import Client, Refused, authenticate
from transcriptions.live.sessions import SessionEnded, TakenOver
from transcriptions.live.sockets import AudioConsumer, TooFast, accepted_subprotocol, in_thread
from transcriptions.models import LiveSession
from transcriptions.uploads.service import UploadRefused

log = logging.getLogger(__name__)

LAST_STORE_TIMEOUT_S = 10.0  # for audio that arrived before the client disconnected
MIN_COMMIT_MS = 100
CLOSE_BASE = 4000  # and the HTTP status: see transcriptions/realtime/consumers.py
OBJECT = "realtime.transcription_session"
# OpenAI's codes, by those of ours that differ.
CODES = {"not_authenticated": "invalid_api_key", "invalid_token": "invalid_api_key"}


class RealtimeConsumer(AudioConsumer):
    """One connection. Its live session begins with the first audio, because its settings are known
    then. It ends with the connection, or with a change of settings that the engine must know from
    the start: then the next audio begins another one."""

    async def connect(self) -> None:
        """Check who connects, and for what purpose."""
        self.tasks = set[asyncio.Task[None]]()
        self.listening: Listening | None = None
        self.is_failed = False
        try:
            self.client, self.settings = await in_thread(_admit, self.scope)
        except Refused as error:
            await self.refuse(error)
        self.conversation = Conversation(is_beta=beta.is_beta(self.scope))
        self.conversation.has_logprobs = self.settings.has_logprobs
        self.session_id, self.expires_at = new_id("sess"), _expires_at()
        self.start_ms = 0  # of the next live session
        await self.accept(accepted_subprotocol(self.scope["subprotocols"]))
        self._start(self._count_connection())
        await self._send_settings("created", self.conversation.is_beta)

    def refusal(self, error: Refused) -> Json:
        """The refusal in OpenAI's format."""
        return error_body(CODES.get(error.code, error.code), str(error), status=error.status)

    async def disconnect(self, code: int) -> None:
        """End the recording."""
        if self.listening:
            with suppress(TakenOver, Throttled, TimeoutError, *DATABASE_AWAY):
                async with asyncio.timeout(LAST_STORE_TIMEOUT_S):
                    await self.listening.end()
        for task in self.tasks:  # only now: the task that stores audio must not be interrupted
            task.cancel()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Process one event. An invalid one gets an error event, and changes nothing."""
        if self.is_failed:
            return
        event = ClientEvent("")
        try:
            event = client_events.parse(text_data)
            await self._obey(event)
        except ClientError as error:
            body = error_body(error.code, str(error), error.param)
            await self._send_error(body, error.event_id or event.id)
        except SessionEnded:
            pass  # the last event of the session says why
        except TooFast:
            await self._fail(Refused(413, "too_fast", _("The audio arrives too fast.")))
        except Exception as error:
            await self._fail(error)

    async def _obey(self, event: ClientEvent) -> None:
        match event.type:
            case client_events.APPEND:
                await self._append(event.audio)
            case client_events.COMMIT:
                await self._commit()
            case client_events.CLEAR:
                await self._clear()
            case client_events.UPDATE:
                await self._update(event.fields.get("session"), is_beta=False)
            case client_events.BETA_UPDATE:
                await self._update(beta.settings_of(event.fields.get("session")), is_beta=True)

    async def _append(self, audio: bytes) -> None:
        if not audio:
            return
        if self.listening is None:
            session = await in_thread(_open_session, self.client, self.settings)
            self.listening = Listening(
                self.client,
                session,
                self.settings,
                self.conversation,
                self._send_event,
                self.start_ms,
            )
            self._start(self.listening.run())
        self.listening.add(audio)

    async def _commit(self) -> None:
        available = self.listening.uncommitted_ms if self.listening else 0
        if self.listening is None or available < MIN_COMMIT_MS:
            message = _(
                "Error committing input audio buffer: buffer too small. Expected at least "
                "%(least)sms of audio, but buffer only has %(available)sms of audio."
            ) % {"least": MIN_COMMIT_MS, "available": available}
            raise ClientError("input_audio_buffer_commit_empty", message)
        await self.listening.commit()

    async def _clear(self) -> None:
        if self.listening and self.listening.uncommitted_ms:
            await self.listening.clear()
        else:
            await self._send_event({"type": "input_audio_buffer.cleared"})

    async def _update(self, given: Any, *, is_beta: bool) -> None:
        if not isinstance(given, dict):
            message = _("Missing required parameter: 'session'.")
            raise ClientError("missing_required_parameter", message, "session")
        try:
            changed = self.settings.updated(given)
        except InvalidParameter as error:
            raise ClientError(error.code, str(error), error.param) from None
        if self.listening and changed.params != self.listening.params:
            ending, self.listening = self.listening, None
            self.start_ms = ending.end_ms
            await ending.end()
        self.settings = changed
        self.conversation.has_logprobs = changed.has_logprobs
        await self._send_settings("updated", is_beta)

    # --- What is sent ---------------------------------------------------------------------------

    async def _send_settings(self, name: str, is_beta: bool) -> None:
        session = session_object(self.settings, self.session_id, self.expires_at)
        if is_beta:
            event = {"type": f"transcription_session.{name}", "session": beta.flat(session)}
        else:
            event = {"type": f"session.{name}", "session": session}
        await self._send_event(event)

    async def _send_event(self, event: Json) -> None:
        await self.send_json({"event_id": new_id("event")} | event)

    async def _send_error(self, body: Json, client_event_id: str | None = None) -> None:
        error = body["error"] | {"event_id": client_event_id or None}
        await self._send_event({"type": "error", "error": error})

    # --- Background tasks -----------------------------------------------------------------------

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._guarded(work))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:
            await self._fail(error)

    async def _count_connection(self) -> None:
        with concurrency.streams.hold(self.client.user):
            await asyncio.Event().wait()

    async def _fail(self, error: Exception) -> None:
        """Report why the connection is closed, and close it."""
        if self.is_failed:
            return
        self.is_failed = True
        reason = _reason(error)
        await self._send_error(error_body(reason.code, str(reason), status=reason.status))
        await self.close(CLOSE_BASE + reason.status)


def session_object(session: Session, session_id: str, expires_at: int) -> Json:
    """The settings as they are sent to clients."""
    names = {"id": session_id, "object": OBJECT, "expires_at": expires_at}
    return names | session.model_dump()


def _expires_at() -> int:
    """The time at which a session that begins now reaches its maximum duration."""
    return int(time.time() + settings.MAX_DURATION_SECONDS)


def _reason(error: Exception) -> Refused:
    match error:
        case Refused():
            return error
        case Throttled():
            return Refused.throttled(error)
        case TakenOver():
            message = _("Another connection has taken over this session.")
            return Refused(409, "taken_over", message)
    log.error("a Realtime connection failed", exc_info=error)
    return Refused(500, "server_error", _("Something went wrong on the server. Connect again."))


def _admit(scope: dict[str, Any]) -> tuple[Client, Session]:
    """Raises Refused."""
    client = authenticate(scope)
    if client.token is None:
        message = _("Send an API token: Authorization: Bearer tk_...")
        raise Refused(401, "not_authenticated", message)
    query = QueryDict(scope["query_string"])
    usual = "" if client.settings is None else "transcription"
    if query.get("intent", usual) != "transcription":
        message = _(
            "Only transcription sessions are supported: add ?intent=transcription to the URL."
        )
        raise Refused(400, "invalid_value", message)
    try:
        concurrency.streams.check(client.user)
        return client, initial_settings(query.get("model", ""), client.settings)
    except InvalidParameter as error:
        raise Refused(error.status, error.code, str(error)) from None
    except Throttled as error:
        raise Refused.throttled(error) from None


def _open_session(client: Client, session: Session) -> LiveSession:
    """Raises Refused."""
    if not client.is_authorized():
        raise Refused(401, "invalid_api_key", _("The API token was revoked."))
    try:
        return sessions.open_session(client.user, client.token, session.params)
    except UploadRefused as error:
        raise Refused(error.status, error.code, str(error)) from None
    except Throttled as error:
        raise Refused.throttled(error) from None
