"""A client that sends no more audio is told that its session has ended, and why."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.db.models.functions import Now
from django.test import Client

from accounts.models import ApiToken, User
from gpu.types import EngineError
from transcodio_site.testing import wait_until
from transcriptions.live.tests.audio_socket import AudioSocket, Message
from transcriptions.models import EndReason, LiveSession, Transcription
from transcriptions.processing import commands, live
from transcriptions.realtime import streams
from transcriptions.realtime.messages import access_channel
from transcriptions.realtime.tests.subscriptions import until_subscribed
from transcriptions.testing import ScriptedEngine

SECOND = 48_000  # bytes

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("live_engine", "new_connections"),
]


def recording() -> Transcription:
    return Transcription.objects.get()


def expire(settings: Any) -> None:
    settings.LIVE_IDLE_SECONDS = 0


def end_as_administrator(settings: Any) -> None:
    commands.cancel(recording(), EndReason.ADMINISTRATOR)


def cancel(settings: Any) -> None:
    commands.cancel(recording())


def delete(settings: Any) -> None:
    recording().delete()


async def in_thread(work: Callable[..., object], *arguments: Any) -> None:
    """Call it in a thread that the application does not need."""

    def call() -> None:
        try:
            work(*arguments)
        finally:
            connections.close_all()

    await asyncio.to_thread(call)


async def opened(user: User, browser: Client | None = None) -> AudioSocket:
    """A connection over which three seconds of audio have been stored."""
    socket = await sync_to_async(AudioSocket)(user, "/api/live", browser=browser)
    await socket.connect()
    await socket.send_audio(bytes(3 * SECOND))
    await socket.until("received")
    return socket


def endings(messages: list[Message]) -> list[tuple[str, str]]:
    """Reason and detail of each `ended`."""
    return [(each["reason"], each["detail"]) for each in messages if each["type"] == "ended"]


def recognize() -> None:
    """The work of a worker on all sessions."""
    for row in Transcription.objects.all():
        live.listen(row.pk)


@pytest.mark.parametrize(
    ("end", "reason", "detail", "last"),
    [
        (expire, "idle", "No audio arrived any more", "complete"),
        (end_as_administrator, "administrator", "Ended by an administrator", "complete"),
        (cancel, "stopped", "Stopped", "complete"),
        (delete, "deleted", "The transcription has been deleted.", "error"),
    ],
)
async def test_client_is_told_once_and_before_the_last_event(
    alice: User, settings: Any, end: Callable[[Any], None], reason: str, detail: str, last: str
) -> None:
    socket = await opened(alice)
    await in_thread(end, settings)
    await in_thread(recognize)
    messages, code = await socket.rest()
    assert endings(messages) == [(reason, detail)]
    assert (messages[-1]["type"], code) == (last, 1000)


async def test_client_is_told_before_a_worker_has_recognized_the_last_words(alice: User) -> None:
    socket = await opened(alice)
    await in_thread(cancel, None)
    assert endings(await socket.until("ended")) == [("stopped", "Stopped")]
    await socket.disconnect()


async def test_client_is_told_even_if_the_message_about_the_end_is_lost(alice: User) -> None:
    socket = await opened(alice)
    lost = {"ended_at": Now(), "end_reason": EndReason.LIMIT, "end_detail": "Used up."}
    await LiveSession.objects.aupdate(**lost)
    await in_thread(recognize)
    messages, _code = await socket.rest()
    assert endings(messages) == [("limit", "Used up.")]
    assert messages[-1]["type"] == "complete"


async def test_client_is_told_that_recognition_has_failed(
    alice: User, live_engine: ScriptedEngine
) -> None:
    def fail() -> None:
        raise EngineError("a test")

    live_engine.before[2] = fail
    socket = await opened(alice)
    await in_thread(recognize)
    messages, _code = await socket.rest()
    assert endings(messages) == [("failed", "Speech recognition failed")]
    assert (messages[-1]["type"], messages[-1]["code"]) == ("error", "engine_failed")


async def test_client_is_told_when_its_audio_is_exactly_as_long_as_allowed(
    alice: User, settings: Any
) -> None:
    settings.MAX_DURATION_SECONDS = 3
    socket = await opened(alice)
    assert endings(await socket.until("ended")) == [("limit", "The longest duration was reached.")]
    await socket.disconnect()


async def test_client_that_ends_the_session_is_told_once(alice: User) -> None:
    socket = await opened(alice)
    await socket.send_json({"type": "end"})
    ended = await socket.until("ended")
    await in_thread(recognize)
    messages, _code = await socket.rest()
    assert endings(ended + messages) == [("stopped", "Stopped")]


@pytest.mark.parametrize(
    ("is_page", "code"), [(True, "not_authenticated"), (False, "invalid_token")]
)
async def test_client_is_told_that_it_is_no_longer_authorized(
    alice: User, browser: Client, is_page: bool, code: str
) -> None:
    """Its session goes on: it can continue after it has signed in again."""

    def revoke() -> None:
        browser.logout() if is_page else ApiToken.objects.all().delete()

    socket = await opened(alice, browser if is_page else None)
    await until_subscribed(access_channel(alice.pk))
    await in_thread(revoke)
    messages, close_code = await socket.rest()
    assert endings(messages) == []
    assert (messages[-1]["type"], messages[-1]["code"], close_code) == ("refused", code, 4401)
    assert not await LiveSession.objects.filter(ended_at__isnull=False).aexists()


async def test_realtime_client_is_told_even_if_the_end_of_its_turn_is_lost(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_S", 0.1)
    socket = await sync_to_async(AudioSocket)(alice, "/v1/realtime", "intent=transcription")
    await socket.connect()
    audio = {"input": {"turn_detection": None}}
    session = {"type": "transcription", "audio": audio}
    await socket.send_json({"type": "session.update", "session": session})
    samples = b64encode(bytes(SECOND)).decode()
    await socket.send_json({"type": "input_audio_buffer.append", "audio": samples})
    await socket.send_json({"type": "input_audio_buffer.commit"})
    await in_thread(lambda: wait_until(LiveSession.objects.filter(commits=1).exists))
    await LiveSession.objects.aupdate(heard_commit=1)
    await socket.until("conversation.item.input_audio_transcription.completed")
    await socket.disconnect()


async def test_command_that_is_nested_too_deeply_is_refused(alice: User) -> None:
    socket = await opened(alice)
    await socket.send_input({"type": "websocket.receive", "text": "[" * 100_000})
    messages, code = await socket.rest()
    assert (messages[-1]["code"], code) == ("bad_message", 4400)


async def test_realtime_client_is_told_that_the_recording_was_deleted(alice: User) -> None:
    socket = await sync_to_async(AudioSocket)(alice, "/v1/realtime", "intent=transcription")
    await socket.connect()
    audio = b64encode(bytes(SECOND)).decode()
    await socket.send_json({"type": "input_audio_buffer.append", "audio": audio})
    await in_thread(lambda: wait_until(LiveSession.objects.filter(received_bytes=SECOND).exists))
    await in_thread(delete, None)
    messages, code = await socket.rest()
    error = messages[-1]["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "session_expired")
    assert error["message"] == "The transcription has been deleted."
    assert code == 4400
