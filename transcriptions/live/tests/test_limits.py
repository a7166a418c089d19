"""What clients are told when a live session reaches a limit."""

from __future__ import annotations

import asyncio
import threading
import uuid
from base64 import b64encode
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from accounts.models import User
from transcodio_site.testing import WAIT_S, wait_until
from transcriptions.live import sessions
from transcriptions.live.sessions import LiveParams, TooManySessions
from transcriptions.live.tests.audio_socket import AudioSocket, Message
from transcriptions.models import LiveSession, State, Transcription
from transcriptions.processing import live
from transcriptions.testing import ScriptedEngine, assign_plan, use_minutes

SECOND = 48_000  # bytes
TRANSCRIPTION = "conversation.item.input_audio_transcription"

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("live_engine", "new_connections"),
]


@pytest.fixture
def few_minutes(alice: User) -> None:
    """Fifteen seconds are left of Alice's monthly minute."""
    assign_plan(alice, monthly_minutes=1)
    use_minutes(alice, 0.75)


@pytest.fixture
def worker(live_engine: ScriptedEngine) -> Worker:
    """A worker that waits before the end of a session."""
    return Worker(live_engine)


class Worker:
    """Works on the only session in another thread. It stops when it has recognized everything,
    until `finish` is called."""

    def __init__(self, engine: ScriptedEngine) -> None:
        self._has_heard_all, self._may_finish = threading.Event(), threading.Event()
        self._work: asyncio.Future[None] | None = None
        engine.before_end = self._wait

    async def listen(self) -> None:
        """Recognize all audio that has come."""
        session = await LiveSession.objects.aget()
        self._work = asyncio.ensure_future(asyncio.to_thread(_listen, session.pk))
        assert await asyncio.to_thread(self._has_heard_all.wait, WAIT_S)

    async def finish(self) -> Transcription:
        """Complete the recording, and return it."""
        self._may_finish.set()
        assert self._work
        await self._work
        return await Transcription.objects.aget()

    def _wait(self) -> None:
        self._has_heard_all.set()
        self._may_finish.wait(WAIT_S)


def _listen(session_id: uuid.UUID) -> None:
    try:
        assert live.listen(session_id)
    finally:
        connections.close_all()


async def live_socket(user: User, query: str = "") -> AudioSocket:
    return await sync_to_async(AudioSocket)(user, "/api/live", query)


async def realtime_socket(user: User) -> AudioSocket:
    return await sync_to_async(AudioSocket)(user, "/v1/realtime", "intent=transcription")


def appended(seconds: float) -> Message:
    audio = b64encode(bytes(round(seconds * SECOND))).decode()
    return {"type": "input_audio_buffer.append", "audio": audio}


# --- The longest duration -----------------------------------------------------------------------


@pytest.mark.parametrize("then", ["silence", "audio", "end"])
async def test_client_is_told_that_the_longest_duration_was_reached(
    alice: User, worker: Worker, settings: Any, then: str
) -> None:
    settings.MAX_DURATION_SECONDS = 3
    socket = await live_socket(alice)
    await socket.connect()
    await socket.send_audio(bytes(5 * SECOND))
    if then == "audio":
        await socket.send_audio(bytes(SECOND))
    elif then == "end":
        await socket.send_json({"type": "end"})
    *_, received, ended = await socket.until("ended")
    assert received == {"type": "received", "received": 3 * SECOND}
    assert (ended["reason"], ended["detail"]) == ("limit", "The longest duration was reached.")
    await worker.listen()
    row = await worker.finish()
    messages, code = await socket.rest()
    assert [each["segment"]["text"] for each in messages if each["type"] == "progress"] == [
        "Sentence 1.",
        "Sentence 2.",
        "Sentence 3.",
    ]
    assert (messages[-1]["type"], messages[-1]["duration"]) == ("complete", 3.0)
    assert code == 1000
    assert (row.state, row.note) == (State.COMPLETED, "The longest duration was reached.")


async def test_realtime_client_is_told_that_the_longest_duration_was_reached(
    alice: User, worker: Worker, settings: Any
) -> None:
    settings.MAX_DURATION_SECONDS = 3
    socket = await realtime_socket(alice)
    await socket.connect()
    await socket.send_json(appended(5))
    await until_session(ended_at__isnull=False)
    await worker.listen()
    row = await worker.finish()
    await check_realtime_end(socket, "The longest duration was reached.")
    assert row.state == State.COMPLETED


async def until_session(**values: Any) -> None:
    """Wait until the session has these values, in a thread that the application does not need."""

    def wait() -> None:
        try:
            wait_until(LiveSession.objects.filter(**values).exists)
        finally:
            connections.close_all()

    await asyncio.to_thread(wait)


async def check_realtime_end(socket: AudioSocket, reason: str) -> None:
    """The transcripts come before an error that says why the session has ended."""
    messages, code = await socket.rest()
    kinds = [each["type"] for each in messages]
    assert kinds.index(f"{TRANSCRIPTION}.completed") < kinds.index("error") == len(kinds) - 1
    error = messages[-1]["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "session_expired")
    assert reason in error["message"]
    assert code == 4400


# --- The quota ----------------------------------------------------------------------------------


async def test_handshake_is_429_when_the_quota_is_used_up(alice: User) -> None:
    await sync_to_async(assign_plan)(alice, monthly_minutes=1)
    await sync_to_async(use_minutes)(alice, 1)
    status, headers, body = await (await live_socket(alice)).refusal()
    assert (status, body["code"]) == (429, "quota_exceeded")
    assert "1" in body["detail"]
    assert int(headers[b"retry-after"]) > 0
    assert not await Transcription.objects.aexists()


async def test_first_realtime_audio_is_refused_when_the_quota_is_used_up(alice: User) -> None:
    await sync_to_async(assign_plan)(alice, monthly_minutes=1)
    await sync_to_async(use_minutes)(alice, 1)
    socket = await realtime_socket(alice)
    await socket.connect()
    await socket.send_json(appended(1))
    (message,), code = await socket.rest()
    assert message["error"]["type"] == "insufficient_quota"
    assert message["error"]["code"] == "quota_exceeded"
    assert code == 4429
    assert not await Transcription.objects.aexists()


@pytest.mark.parametrize("then", ["silence", "audio"])
async def test_client_is_told_that_the_quota_is_used_up_while_it_speaks(
    alice: User, few_minutes: None, worker: Worker, then: str
) -> None:
    socket = await live_socket(alice)
    await socket.connect()
    await socket.send_audio(bytes(20 * SECOND))
    await socket.until("received")
    await worker.listen()
    if then == "audio":
        await socket.send_audio(bytes(SECOND))
    ended = (await socket.until("ended"))[-1]
    assert ended["reason"] == "limit"
    assert "monthly limit" in ended["detail"]
    row = await worker.finish()
    messages, code = await socket.rest()
    assert messages[-1]["type"] == "complete"
    assert not [each for each in messages if each["type"] == "ended"]
    assert code == 1000
    assert row.state == State.COMPLETED


async def test_realtime_client_is_told_that_the_quota_is_used_up_while_it_speaks(
    alice: User, few_minutes: None, worker: Worker
) -> None:
    socket = await realtime_socket(alice)
    await socket.connect()
    await socket.send_json(appended(20))
    await until_session(received_bytes=20 * SECOND)
    await worker.listen()
    await socket.send_json(appended(1))
    row = await worker.finish()
    await check_realtime_end(socket, "monthly limit")
    assert row.state == State.COMPLETED


# --- The number of sessions ---------------------------------------------------------------------


async def parked(socket: AudioSocket) -> None:
    """A session of this connection that has a second of audio, and no worker any more."""
    await socket.send_audio(bytes(SECOND))
    await socket.until("received")
    await asyncio.to_thread(_listen, (await LiveSession.objects.aget()).pk)
    await until_session(parked_at__isnull=False)


@pytest.mark.parametrize("then", ["silence", "end"])
async def test_paused_session_goes_on_only_if_the_limit_allows_it(
    alice: User, settings: Any, then: str
) -> None:
    settings.MAX_LIVE_SESSIONS_PER_USER = 1
    socket, other = await live_socket(alice), await live_socket(alice)
    await socket.connect()
    await parked(socket)
    await other.connect()  # a paused session does not count
    await socket.send_audio(bytes(SECOND))
    if then == "end":
        await socket.send_json({"type": "end"})
    messages, code = await socket.rest()
    assert (messages[-1]["type"], messages[-1]["code"]) == ("refused", "too_many_live_sessions")
    assert code == 4429
    assert await LiveSession.objects.filter(received_bytes=SECOND, ended_at=None).aexists()
    await other.disconnect()


async def test_last_audio_of_a_paused_realtime_session_ends_it_without_a_worker(
    alice: User, settings: Any
) -> None:
    settings.MAX_LIVE_SESSIONS_PER_USER = 1
    socket = await realtime_socket(alice)
    await socket.connect()
    await socket.send_json(appended(1))
    await until_session(received_bytes=SECOND)
    session = await LiveSession.objects.aget()
    await asyncio.to_thread(_listen, session.pk)
    await sync_to_async(sessions.open_session)(alice, None, LiveParams())
    await socket.send_json(appended(1))
    await socket.disconnect()
    await session.arefresh_from_db()
    assert session.received_bytes == SECOND
    assert session.ended_at


def test_limits_of_paused_sessions(alice: User, bob: User, settings: Any) -> None:
    settings.MAX_LIVE_SESSIONS_PER_USER = settings.MAX_LIVE_SESSIONS = 1
    session = sessions.open_session(alice, None, LiveParams())
    sessions.append(session, 0, bytes(SECOND))
    assert live.listen(session.pk)
    other = sessions.open_session(bob, None, LiveParams())
    with pytest.raises(TooManySessions, match="at the moment") as refused:
        sessions.append(session, SECOND, bytes(SECOND))
    assert refused.value.status == 503
    with pytest.raises(TooManySessions):
        sessions.commit(session)
    session.refresh_from_db()
    assert (session.received_bytes, session.commits) == (SECOND, 0)
    assert session.parked_at
    sessions.end(other)
    assert sessions.append(session, SECOND, bytes(SECOND)) == 2 * SECOND
    assert sessions.commit(session) == 1
    assert sessions.append(session, 2 * SECOND, bytes(SECOND)) == 3 * SECOND
