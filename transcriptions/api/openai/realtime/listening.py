"""One live session of a Realtime connection: its audio on the way in, its items on the way out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress

from django.db.models import Max
from django.utils.translation import gettext as _

from transcriptions.api.openai.errors import error_body
from transcriptions.api.openai.realtime.items import Conversation, Items, Json
from transcriptions.api.openai.realtime.settings import Session
from transcriptions.live import sessions
from transcriptions.live.authentication import Client, Refused
from transcriptions.live.sessions import SessionEnded, TooManySessions
from transcriptions.live.sockets import AudioInput, in_thread
from transcriptions.models import LiveSession
from transcriptions.processing import live_recording
from transcriptions.realtime import streams
from transcriptions.schemas.events import CompleteEvent, ErrorEvent, TurnEvent

Send = Callable[[Json], Awaitable[None]]


class Listening:
    """Recognizes the client's audio until the settings change, or the client disconnects. `run`
    must be running meanwhile.
    """

    def __init__(
        self,
        client: Client,
        session: LiveSession,
        settings: Session,
        conversation: Conversation,
        send: Send,
        start_ms: int,
    ) -> None:
        self._client, self._session, self._send = client, session, send
        self.params = settings.params
        turns = settings.input.turn_detection
        self._items = Items(conversation, turns.prefix_padding_ms if turns else None, start_ms)
        self._rate = live_recording.coding_of(session).bytes_per_second
        self._input = AudioInput(session, self._rate)
        self._start_ms, self._bytes = start_ms, 0
        self._is_ended = False

    @property
    def end_ms(self) -> int:
        """The end of the last audio, in milliseconds since the first audio of the connection."""
        return self._start_ms + self._bytes * 1000 // self._rate

    @property
    def uncommitted_ms(self) -> int:
        """How much audio belongs to no item."""
        return self._items.uncommitted_ms(self.end_ms)

    def add(self, audio: bytes) -> None:
        """Audio has arrived. Raises TooFast."""
        self._bytes += len(audio)
        self._input.add(audio)

    async def commit(self) -> None:
        """The client ends a turn. Raises TooFast."""
        await self._send_all(list(self._items.commit(self.end_ms)))
        self._input.commit(_nobody)

    async def clear(self) -> None:
        """The client discards the audio that it has not committed. It stays in the recording.
        Raises TooFast."""
        await self._send_all(list(self._items.clear(self.end_ms)))
        self._input.commit(_nobody)

    async def end(self) -> None:
        """No more audio follows, only the last events. Raises TakenOver, TooManySessions."""
        self._is_ended = True
        self._input.close()
        try:
            with suppress(SessionEnded):
                await self._input.flush(_nobody)
        except TooManySessions:  # the last audio is refused, and nobody can resume the session
            await in_thread(sessions.end, self._session)
            raise
        await in_thread(sessions.end, self._session)

    async def run(self) -> None:
        """Store the audio, and send events until the last one.

        Returns when the client has ended the session. Raises Refused if it ended for another
        reason, and TakenOver.
        """
        work = asyncio.gather(self._store(), self._follow())
        try:
            await work
        finally:
            work.cancel()

    async def _store(self) -> None:
        try:
            await self._input.store(_nobody)
        except SessionEnded:
            self._input.close()  # the last event says why

    async def _follow(self) -> None:
        events = streams.subscribe_while_authorized(
            self._client.is_authorized, self._client.user.pk, self._session.pk
        )
        last_id = 0
        async with aclosing(events):
            async for event in events:
                if event is None and self._items.wait_for_commit:
                    event = await in_thread(_lost_turn_end, self._session, last_id)
                if event is None:
                    continue
                last_id = max(last_id, event.id)
                await self._send_all(list(self._items.follow(event)))
                if isinstance(event, CompleteEvent | ErrorEvent):
                    await self._finish(event)
                    return
        raise Refused(401, "invalid_api_key", _("The API token was revoked."))

    async def _finish(self, last: CompleteEvent | ErrorEvent) -> None:
        if isinstance(last, ErrorEvent) and not self._is_ended:
            refused = _refusal(last)
            error = error_body(refused.code, last.detail, status=refused.status)["error"]
            await self._send_all(list(self._items.fail(error)))
            raise refused
        await self._send_all(list(self._items.finish(self.end_ms)))
        if not self._is_ended:
            raise Refused(400, "session_expired", await in_thread(_end_message, self._session))

    async def _send_all(self, events: list[Json]) -> None:
        for event in events:
            await self._send(event)


def _refusal(last: ErrorEvent) -> Refused:
    if last.code == "deleted":  # by its owner: the server is not at fault
        return Refused(400, "session_expired", last.detail)
    return Refused(500, last.code, last.detail)


def _end_message(session: LiveSession) -> str:
    """The reason for which the session ended."""
    session.refresh_from_db()
    return str(SessionEnded(session))


def _lost_turn_end(session: LiveSession, last_id: int) -> TurnEvent | None:
    """The end of the last committed turn that is recognized, for a client that has received all
    stored segments. The event is not stored, and is lost if Valkey is away."""
    rows = LiveSession.objects.filter(pk=session.pk, heard_commit__gt=0)
    heard = rows.values_list("heard_commit", Max("transcription__segments__number")).first()
    if heard is None or (heard[1] or 0) > last_id:
        return None
    return TurnEvent(id=last_id, state="ended", time=0.0, commit=heard[0])


async def _nobody(number: int) -> None:
    """Do nothing: the API confirms neither audio nor commits when they are stored."""
