"""The official OpenAI client in Realtime transcription sessions, against a running stack."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import wave
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.resources.realtime.realtime import RealtimeConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from transcodio_site.testing import WAIT_S, Media, Stack, connect, wait_until
from transcodio_site.testing_media import CHANGES_S

SECOND = 48_000  # bytes
INTENT = {"intent": "transcription"}
LOGPROBS = "input_audio_transcription.logprobs"
TRANSCRIPTION = "conversation.item.input_audio_transcription"


@pytest.fixture(scope="module")
def key(stack: Stack) -> str:
    return stack.token("realtime@example.com")


@pytest.fixture
def client(stack: Stack, key: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{stack.url}/v1", api_key=key) as client:
        yield client


@pytest.fixture(scope="module")
def speech(media: Media) -> bytes:
    """Two sentences and the silence after them, at 24 kHz."""
    with wave.open(str(media.turn()), "rb") as wav:
        return wav.readframes(wav.getnframes())


def encoded(audio: bytes) -> str:
    return base64.b64encode(audio).decode()


def append(connection: RealtimeConnection, audio: bytes) -> None:
    for start in range(0, len(audio), 4800):
        connection.input_audio_buffer.append(audio=encoded(audio[start : start + 4800]))


def settings(**values: Any) -> Any:
    transcription = {"model": "whisper-1", "language": "en"} | values.pop("transcription", {})
    given = {"transcription": transcription} | values
    return {"type": "transcription", "audio": {"input": given}}


def until(connection: RealtimeConnection, kind: str) -> list[Any]:
    """The events up to the first one of a kind."""
    events: list[Any] = []
    impatience = threading.Timer(WAIT_S, connection.close)  # the client itself waits forever
    impatience.start()
    try:
        while not events or events[-1].type != kind:
            events.append(connection.recv())
    finally:
        impatience.cancel()
    return events


def types(events: list[Any]) -> list[str]:
    return [event.type for event in events if event.type != f"{TRANSCRIPTION}.delta"]


def transcript(events: list[Any]) -> str:
    """The transcript in the last event, which must agree with the deltas of its item."""
    completed = events[-1]
    assert completed.type == f"{TRANSCRIPTION}.completed"
    deltas = [
        e.delta for e in events if e.type.endswith("delta") and e.item_id == completed.item_id
    ]
    assert "".join(deltas) == completed.transcript
    return str(completed.transcript)


def test_turns_of_speech_are_transcribed(client: OpenAI, speech: bytes) -> None:
    with client.realtime.connect(extra_query=INTENT) as connection:
        created: Any = connection.recv()
        assert created.type == "session.created"
        assert created.session.audio.input.format.rate == 24_000
        assert created.session.audio.input.turn_detection.type == "server_vad"
        vad = {"type": "server_vad", "silence_duration_ms": 800, "prefix_padding_ms": 0}
        connection.session.update(session=settings(turn_detection=vad))
        (updated,) = until(connection, "session.updated")
        assert updated.type == "session.updated"
        assert updated.session.audio.input.transcription.language == "en"
        append(connection, speech)
        events = until(connection, f"{TRANSCRIPTION}.completed")
    assert types(events) == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        f"{TRANSCRIPTION}.completed",
    ]
    assert "harbor" in transcript(events)
    assert len({e.item_id for e in events if hasattr(e, "item_id")}) == 1
    started, stopped = (e for e in events if "speech" in e.type)
    assert 0 <= started.audio_start_ms < 1000 < stopped.audio_end_ms <= 10_000
    usage = events[-1].usage
    assert usage.type == "duration"
    assert usage.seconds == pytest.approx(
        (stopped.audio_end_ms - started.audio_start_ms) / 1000, abs=0.01
    )
    assert len({e.event_id for e in events}) == len(events)


@pytest.mark.slow
async def test_async_client_ends_turns_itself(stack: Stack, key: str, speech: bytes) -> None:
    client = AsyncOpenAI(base_url=f"{stack.url}/v1", api_key=key)
    async with client.realtime.connect(model="gpt-4o-transcribe", extra_query=INTENT) as connection:
        session = settings(turn_detection=None) | {"include": [f"item.{LOGPROBS}"]}
        await connection.session.update(session=session)
        for start in range(0, len(speech), SECOND):
            await connection.input_audio_buffer.append(audio=encoded(speech[start:][:SECOND]))
        await connection.input_audio_buffer.commit()
        await connection.input_audio_buffer.append(audio=encoded(bytes(SECOND)))
        await connection.input_audio_buffer.commit()
        events: list[Any] = []
        async with asyncio.timeout(WAIT_S):
            async for event in connection:
                events.append(event)
                if len([e for e in events if e.type == f"{TRANSCRIPTION}.completed"]) == 2:
                    break
    first, second = (e for e in events if e.type == f"{TRANSCRIPTION}.completed")
    assert "harbor" in first.transcript
    assert second.transcript == ""
    assert " ".join(each.token for each in first.logprobs) == first.transcript
    assert all(each.logprob <= 0 for each in first.logprobs)
    assert not second.logprobs
    assert first.usage.seconds == pytest.approx(len(speech) / SECOND, abs=0.01)
    committed = [e for e in events if e.type == "input_audio_buffer.committed"]
    assert [e.item_id for e in committed] == [first.item_id, second.item_id]
    assert [e.previous_item_id for e in committed] == [None, first.item_id]
    assert not [e for e in events if "speech_" in e.type]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "codec"),
    [("audio/pcmu", "pcm_mulaw"), ("audio/pcma", "pcm_alaw")],
)
def test_telephone_speech_is_transcribed(
    client: OpenAI, media: Media, kind: str, codec: str
) -> None:
    name = f"call.{codec.removeprefix('pcm_')}"
    audio = media.speech(name, CHANGES_S[0], "-ar", "8000", "-ac", "1", "-f", codec[4:])
    with client.realtime.connect(extra_query=INTENT) as connection:
        connection.session.update(session=settings(format={"type": kind}, turn_detection=None))
        connection.input_audio_buffer.append(audio=encoded(audio.read_bytes()))
        connection.input_audio_buffer.commit()
        assert "harbor" in transcript(until(connection, f"{TRANSCRIPTION}.completed"))


# --- The recording ------------------------------------------------------------------------------


def library(stack: Stack, key: str) -> list[dict[str, Any]]:
    headers = {"Authorization": f"Bearer {key}"}
    answer = httpx.get(f"{stack.url}/api/transcriptions", headers=headers)
    rows: list[dict[str, Any]] = answer.raise_for_status().json()["items"]
    return rows


@pytest.mark.slow
def test_session_becomes_a_recording_when_the_client_disconnects(
    stack: Stack, speech: bytes
) -> None:
    key = stack.token("realtime-recording@example.com")
    client = OpenAI(base_url=f"{stack.url}/v1", api_key=key)
    with client.realtime.connect(extra_query=INTENT) as connection:
        connection.session.update(session=settings())
        append(connection, speech)
        until(connection, f"{TRANSCRIPTION}.completed")
    wait_until(lambda: library(stack, key)[0]["state"] == "completed")
    (row,) = library(stack, key)
    assert (row["title"], row["language"]) == ("Realtime session", "en")
    assert row["duration"] == pytest.approx(len(speech) / SECOND, abs=0.1)


@pytest.mark.slow
def test_other_settings_begin_another_recording(stack: Stack, speech: bytes) -> None:
    key = stack.token("realtime-settings@example.com")
    client = OpenAI(base_url=f"{stack.url}/v1", api_key=key)
    with client.realtime.connect(extra_query=INTENT) as connection:
        connection.session.update(session=settings(turn_detection=None))
        append(connection, speech)
        connection.session.update(session=settings(turn_detection=None))  # nothing has changed
        connection.session.update(session=settings(format={"type": "audio/pcma"}))
        first = until(connection, f"{TRANSCRIPTION}.completed")
        assert "harbor" in transcript(first)
        connection.input_audio_buffer.append(audio=encoded(b"\xd5" * 8000))
        connection.input_audio_buffer.commit()
        second = until(connection, f"{TRANSCRIPTION}.completed")
        assert second[-1].usage.seconds == 1
        committed = next(e for e in second if e.type == "input_audio_buffer.committed")
        assert committed.previous_item_id == first[-1].item_id
    wait_until(lambda: [row["state"] for row in library(stack, key)] == ["completed"] * 2)


@pytest.mark.slow
def test_cleared_audio_is_not_heard_of(client: OpenAI, speech: bytes) -> None:
    with client.realtime.connect(extra_query=INTENT) as connection:
        connection.session.update(session=settings(turn_detection=None))
        connection.input_audio_buffer.clear()
        until(connection, "input_audio_buffer.cleared")
        append(connection, speech)
        connection.input_audio_buffer.clear()
        append(connection, bytes(SECOND))
        connection.input_audio_buffer.commit()
        events = until(connection, f"{TRANSCRIPTION}.completed")
    assert "input_audio_buffer.cleared" in types(events)
    assert events[-1].transcript == ""
    assert events[-1].usage.seconds == 1


# --- What is wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "code", "param"),
    [
        ("{", "invalid_json", None),
        ('{"type": "session.update", "session": {"x": "\\u0000"}}', "invalid_value", None),
        (b"\0", "invalid_event", None),
        ('{"type": "response.create", "event_id": "e1"}', "invalid_value", "type"),
        ('{"type": "session.update"}', "missing_required_parameter", "session"),
        ('{"type": "input_audio_buffer.append"}', "missing_required_parameter", "audio"),
        ('{"type": "input_audio_buffer.append", "audio": "***"}', "invalid_value", "audio"),
        ('{"type": "input_audio_buffer.commit"}', "input_audio_buffer_commit_empty", None),
        (
            '{"type": "session.update", "session": {"type": "realtime"}}',
            "invalid_value",
            "session.type",
        ),
        (
            '{"type": "session.update", "session": {"audio": {"input": {"transcription": '
            '{"language": "klingon"}}}}}',
            "invalid_value",
            "session.audio.input.transcription.language",
        ),
    ],
)
def test_wrong_events_are_answered_and_the_session_goes_on(
    client: OpenAI, message: str | bytes, code: str, param: str | None
) -> None:
    with client.realtime.connect(extra_query=INTENT) as connection:
        until(connection, "session.created")
        connection._connection.send(message)
        (answer,) = until(connection, "error")
        assert (answer.error.type, answer.error.code) == ("invalid_request_error", code)
        assert answer.error.param == param
        assert answer.error.message
        assert answer.error.event_id == ("e1" if "e1" in str(message) else None)
        connection.session.update(session=settings())
        until(connection, "session.updated")


def url_of(stack: Stack, query: str = "?intent=transcription", url: str = "") -> str:
    return f"{(url or stack.url).replace('http', 'ws', 1)}/v1/realtime{query}"


def refusal(
    stack: Stack, key: str, query: str = "?intent=transcription", url: str = ""
) -> tuple[int, str]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    with pytest.raises(InvalidStatus) as refused:
        connect(url_of(stack, query, url), additional_headers=headers)
    response = refused.value.response
    error = json.loads(response.body or b"{}")["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["message"]
    return response.status_code, error["code"]


@pytest.mark.covers("attack", "A Realtime session is opened without a valid token")
def test_refused_handshakes_say_why(stack: Stack, key: str) -> None:
    assert refusal(stack, "") == (401, "invalid_api_key")
    assert refusal(stack, "tk_wrong") == (401, "invalid_api_key")
    assert refusal(stack, "ek_wrong") == (401, "invalid_api_key")
    assert refusal(stack, key, "?model=gpt-realtime") == (400, "invalid_value")
    assert refusal(stack, key, "?intent=conversation") == (400, "invalid_value")
    reader = stack.limited_token("realtime@example.com", "transcriptions:read")
    assert refusal(stack, reader) == (403, "insufficient_scope")


@pytest.mark.slow
def test_unlisted_model_is_refused_if_the_server_is_strict(stack: Stack, key: str) -> None:
    with stack.another_web(OPENAI_STRICT_MODELS="true") as (url, _):
        query = "?intent=transcription&model=gpt-5"
        assert refusal(stack, key, query, url) == (404, "model_not_found")


@pytest.mark.slow
def test_too_many_sessions_are_refused_with_the_first_audio(stack: Stack) -> None:
    client = OpenAI(base_url=f"{stack.url}/v1", api_key=stack.token("realtime-many@example.com"))
    with stack.another_web(MAX_LIVE_SESSIONS_PER_USER="0") as (url, _):
        with client.with_options(base_url=f"{url}/v1").realtime.connect(
            extra_query=INTENT
        ) as connection:
            connection.input_audio_buffer.append(audio=encoded(bytes(4800)))
            error = until(connection, "error")[-1].error
            assert (error.type, error.code) == ("rate_limit_error", "too_many_live_sessions")
            with pytest.raises(ConnectionClosed) as closed:
                connection.recv()
            assert closed.value.rcvd
            assert closed.value.rcvd.code == 4429


@pytest.mark.slow
def test_session_that_somebody_else_ends_is_closed_with_a_reason(
    stack: Stack, speech: bytes
) -> None:
    key = stack.token("realtime-ended@example.com")
    client = OpenAI(base_url=f"{stack.url}/v1", api_key=key)
    with client.realtime.connect(extra_query=INTENT) as connection:
        connection.session.update(session=settings(turn_detection=None))
        append(connection, speech)
        connection.input_audio_buffer.commit()
        until(connection, f"{TRANSCRIPTION}.completed")
        (row,) = library(stack, key)
        headers = {"Authorization": f"Bearer {key}"}
        cancel = f"{stack.url}/api/transcriptions/{row['id']}/cancel"
        httpx.post(cancel, headers=headers).raise_for_status()
        assert until(connection, "error")[-1].error.code == "session_expired"
        with pytest.raises(ConnectionClosed):
            connection.recv()


@pytest.mark.slow
def test_largest_append_of_the_api_is_accepted(stack: Stack) -> None:
    """15 MiB are almost three minutes at 48 kHz. They are kept although the client disconnects."""
    key = stack.token("realtime-large@example.com")
    client = OpenAI(base_url=f"{stack.url}/v1", api_key=key)
    with client.realtime.connect(extra_query=INTENT) as connection:
        rate = {"type": "audio/pcm", "rate": 48_000}
        connection.session.update(session=settings(turn_detection=None, format=rate))
        connection.input_audio_buffer.append(audio=encoded(bytes(15 << 20)))
        connection.input_audio_buffer.commit()
        events = until(connection, "input_audio_buffer.committed")
        assert not [event for event in events if event.type == "error"]
    wait_until(lambda: library(stack, key)[0]["state"] == "completed")
    assert library(stack, key)[0]["duration"] == pytest.approx((15 << 20) / 96_000, abs=0.1)


@pytest.mark.covers("attack", "A Realtime session sends audio faster than it can be stored")
def test_audio_that_comes_too_fast_ends_the_connection(client: OpenAI) -> None:
    megabyte = encoded(bytes(750_000))
    with client.realtime.connect(extra_query=INTENT) as connection:
        connection.session.update(session=settings(turn_detection=None))
        with suppress(ConnectionClosed):
            for _ in range(40):
                connection.input_audio_buffer.append(audio=megabyte)
        assert until(connection, "error")[-1].error.code == "too_fast"


# --- The beta form ------------------------------------------------------------------------------


@pytest.mark.slow
def test_beta_client_is_understood(stack: Stack, key: str, speech: bytes) -> None:
    headers = {"Authorization": f"Bearer {key}", "OpenAI-Beta": "realtime=v1"}
    session = {
        "input_audio_format": "pcm16",
        "input_audio_transcription": {"model": "gpt-4o-transcribe", "language": "en"},
        "turn_detection": None,
    }
    with connect(url_of(stack), additional_headers=headers) as socket:
        created = json.loads(socket.recv(WAIT_S))
        assert created["type"] == "transcription_session.created"
        assert created["session"]["input_audio_format"] == "pcm16"
        socket.send(json.dumps({"type": "transcription_session.update", "session": session}))
        updated = json.loads(socket.recv(WAIT_S))
        assert updated["type"] == "transcription_session.updated"
        assert updated["session"]["turn_detection"] is None
        audio = encoded(speech)
        socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
        socket.send(json.dumps({"type": "input_audio_buffer.commit"}))
        received = [json.loads(socket.recv(WAIT_S))]
        while not received[-1]["type"].endswith("completed"):
            received.append(json.loads(socket.recv(WAIT_S)))
    kinds = [event["type"] for event in received]
    assert kinds[:2] == ["input_audio_buffer.committed", "conversation.item.created"]
    assert "harbor" in received[-1]["transcript"]
