"""Audio that arrives faster than real time: how fast it is stored, and when it is refused."""

from __future__ import annotations

import asyncio

import pytest
from asgiref.sync import sync_to_async

from accounts.models import User
from transcriptions.live import sessions, sockets
from transcriptions.live.sessions import LiveParams
from transcriptions.live.sockets import AudioInput, TooFast
from transcriptions.live.tests.audio_socket import AudioSocket
from transcriptions.models import LiveSession

RATE = 8000  # bytes per second
MEGABYTE = 1_000_000

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("new_connections")]


class Clock:
    """A clock that only sleeping advances."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(sockets, "time", clock)
    monkeypatch.setattr(asyncio, "sleep", clock.sleep)
    return clock


@pytest.fixture
def audio(alice: User, folders: None, clock: Clock) -> AudioInput:
    """The input of a telephone call."""
    params = LiveParams(encoding="mulaw", sample_rate=RATE)
    return AudioInput(sessions.open_session(alice, None, params), RATE)


async def confirm(received: int) -> None:
    """Do nothing."""


async def store(audio: AudioInput, seconds: float) -> None:
    """Send this much audio, and wait until it is stored."""
    audio.add(bytes(round(seconds * RATE)))
    await audio.flush(confirm)


async def test_a_minute_is_stored_immediately_and_the_rest_at_four_times_real_time(
    audio: AudioInput, clock: Clock
) -> None:
    start = clock.now
    await store(audio, 60)
    assert clock.now == start
    await store(audio, 40)
    assert clock.now - start == pytest.approx(10, abs=0.2)
    session = await LiveSession.objects.aget()
    assert audio.received == session.received_bytes == 100 * RATE


async def test_silence_does_not_allow_more_than_a_minute(audio: AudioInput, clock: Clock) -> None:
    await store(audio, 60)
    clock.now += 3600
    start = clock.now
    await store(audio, 64)
    assert clock.now - start == pytest.approx(1, abs=0.2)


async def test_audio_in_real_time_never_waits(audio: AudioInput, clock: Clock) -> None:
    for _ in range(20):
        clock.now += 5
        start = clock.now
        await store(audio, 5)
        assert clock.now == start


@pytest.mark.slow
async def test_client_that_waits_for_every_megabyte_is_never_too_fast(audio: AudioInput) -> None:
    for number in range(1, 13):
        audio.add(bytes(MEGABYTE))
        await audio.flush(confirm)
        assert audio.received == number * MEGABYTE


async def test_audio_is_refused_while_eight_megabytes_wait(audio: AudioInput) -> None:
    for _ in range(9):
        audio.add(bytes(MEGABYTE))
    with pytest.raises(TooFast):
        audio.add(b"\0")


async def test_audio_after_the_end_is_ignored(audio: AudioInput) -> None:
    """The client may not know of the end yet."""
    await store(audio, 1)
    audio.close()
    for _ in range(20):
        audio.add(bytes(MEGABYTE))
    await audio.flush(confirm)
    assert audio.received == RATE


async def test_commits_are_refused_while_a_thousand_wait(audio: AudioInput) -> None:
    for _ in range(1000):
        audio.commit(confirm)
    with pytest.raises(TooFast):
        audio.commit(confirm)


async def test_rest_is_stored_without_delay_when_the_client_has_left(
    audio: AudioInput, clock: Clock
) -> None:
    start = clock.now
    audio.add(bytes(600 * RATE))
    audio.close()
    await audio.flush(confirm)
    assert (audio.received, clock.now) == (600 * RATE, start)


@pytest.mark.covers("attack", "A live session sends audio faster than it can be stored")
async def test_connection_that_sends_too_fast_is_closed_with_4413(
    alice: User, folders: None
) -> None:
    query = f"encoding=mulaw&sample_rate={RATE}"
    socket = await sync_to_async(AudioSocket)(alice, "/api/live", query)
    await socket.connect()
    for _ in range(12):
        await socket.send_audio(bytes(MEGABYTE))
    messages, code = await socket.rest()
    refused = next(each for each in messages if each["type"] == "refused")
    assert (refused["code"], code) == ("too_fast", 4413)
    session = await LiveSession.objects.aget()
    assert session.ended_at is None
    assert session.received_bytes > 8 * MEGABYTE  # what has been accepted is stored
