"""Realtime transcription sessions whose language the speech engine detects."""

from __future__ import annotations

import base64
import json
import wave
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.sync.client import ClientConnection

from transcodio_site.testing import WAIT_S, Media, Stack, connect

SECOND = 48_000  # bytes
COMPLETED = "conversation.item.input_audio_transcription.completed"


@pytest.fixture(scope="module")
def key(stack: Stack) -> str:
    return stack.token("realtime-language@example.com")


@pytest.fixture
def socket(stack: Stack, key: str) -> Iterator[ClientConnection]:
    url = f"{stack.url.replace('http', 'ws', 1)}/v1/realtime?intent=transcription"
    with connect(url, additional_headers={"Authorization": f"Bearer {key}"}) as socket:
        yield socket


@pytest.fixture(scope="module")
def speech(media: Media) -> bytes:
    """Two sentences and the silence after them, at 24 kHz."""
    with wave.open(str(media.turn()), "rb") as wav:
        return wav.readframes(wav.getnframes())


def configure(socket: ClientConnection, turn_detection: Any) -> None:
    audio = {"transcription": {"model": "whisper-1"}, "turn_detection": turn_detection}
    session = {"type": "transcription", "audio": {"input": audio}}
    socket.send(json.dumps({"type": "session.update", "session": session}))


def append(socket: ClientConnection, audio: bytes) -> None:
    encoded = base64.b64encode(audio).decode()
    socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": encoded}))


def until_completed(socket: ClientConnection) -> list[dict[str, Any]]:
    """The events about the audio, up to the end of an item."""
    events: list[dict[str, Any]] = []
    while not events or events[-1]["type"] != COMPLETED:
        events.append(json.loads(socket.recv(WAIT_S)))
    return [event for event in events if "audio" in event["type"]]


def test_first_turn_is_sent_although_its_language_is_not_known_yet(
    socket: ClientConnection, speech: bytes
) -> None:
    configure(socket, {"type": "server_vad", "silence_duration_ms": 800})
    append(socket, speech)
    events = until_completed(socket)
    assert [event["type"] for event in events if not event["type"].endswith("delta")] == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        COMPLETED,
    ]
    assert "harbor" in events[-1]["transcript"]
    assert events[-1]["languages"] == [{"code": "en"}]


def test_first_commit_of_silence_is_completed(socket: ClientConnection) -> None:
    configure(socket, None)
    append(socket, bytes(SECOND))
    socket.send(json.dumps({"type": "input_audio_buffer.commit"}))
    assert until_completed(socket)[-1]["transcript"] == ""
