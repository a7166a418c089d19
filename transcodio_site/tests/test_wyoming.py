"""Voice commands over the Wyoming protocol, with its own client, against a running stack."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, cast

import httpx
import pytest
from django.core.asgi import get_asgi_application
from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.event import Event
from wyoming.info import Describe, Info
from wyoming.ping import Ping, Pong

from transcodio_site import wyoming_server
from transcodio_site.supervisor import free_port
from transcodio_site.supervisor.stack import Stack as ServiceStack
from transcodio_site.testing import ROOT, WAIT_S, Media, Stack
from transcodio_site.wyoming_server import Service, VoiceCommands


@asynccontextmanager
async def connected(service: Service) -> AsyncIterator[AsyncTcpClient]:
    """A client of a server in this process."""
    server = await asyncio.start_server(
        lambda reader, writer: VoiceCommands(service, reader, writer).run(), "127.0.0.1", 0
    )
    port = server.sockets[0].getsockname()[1]
    async with server, AsyncTcpClient("127.0.0.1", port) as client:
        yield client


async def answer(client: AsyncTcpClient) -> Event:
    async with asyncio.timeout(WAIT_S):
        event = await client.read_event()
    assert event is not None
    return event


async def speak(client: AsyncTcpClient, wav: Any, **request: Any) -> Event:
    """Send a command as Home Assistant does, and return the answer."""
    await client.write_event(Transcribe(**request).event())
    with wave.open(str(wav), "rb") as file:
        rate, width, channels = file.getframerate(), file.getsampwidth(), file.getnchannels()
        await client.write_event(AudioStart(rate, width, channels).event())
        while samples := file.readframes(1024):
            await client.write_event(AudioChunk(rate, width, channels, samples).event())
    await client.write_event(AudioStop().event())
    return await answer(client)


async def test_voice_commands_are_answered_and_not_kept(stack: Stack, media: Media) -> None:
    token = stack.token("home@example.com")
    async with connected(Service(stack.url, token)) as client:
        for language in ("en", None):
            event = await speak(client, media.speech("command.wav", 6), language=language)
            assert Transcript.is_type(event.type), event
            transcript = Transcript.from_event(event)
            assert "walking along the harbor" in transcript.text
            assert transcript.language == "en"
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=stack.url, headers=headers) as rest:
        assert (await rest.get("/api/transcriptions")).json()["items"] == []


FAILURE = {"detail": "The speech engine failed.", "code": "engine_failed"}


@pytest.mark.parametrize(("error", "answered"), [(None, "Lights on"), (FAILURE, FAILURE["detail"])])
async def test_answer_does_not_depend_on_the_deletion(
    error: dict[str, str] | None, answered: str, media: Media
) -> None:
    """The server fails after the transcription has ended."""
    deleted: list[str] = []

    def respond(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(202, json={"id": "7"})
        if request.method == "DELETE":
            deleted.append(request.url.path)
            raise httpx.ConnectError("The server has stopped.")
        if request.url.path.endswith("/events"):
            return httpx.Response(200, text="event: complete\n\n")
        state = "failed" if error else "completed"
        body = {"state": state, "error": error, "text": "Lights on", "language": "en"}
        return httpx.Response(200, json=body)

    service = Service("http://127.0.0.1:8000", "tk_unused")
    service._client = httpx.AsyncClient(
        transport=httpx.MockTransport(respond), base_url="http://127.0.0.1:8000"
    )
    async with connected(service) as client:
        event = await speak(client, media.speech("command.wav", 6))
    assert event.data["text"] == answered
    assert deleted == ["/api/transcriptions/7"]


async def test_error_says_what_is_wrong(stack: Stack, media: Media) -> None:
    token = stack.token("home@example.com")
    command = media.speech("command.wav", 6)
    async with connected(Service(stack.url, token)) as client:
        error = Error.from_event(await speak(client, command, language="xx"))
        assert error.code == "unknown_language"
        transcript = await speak(client, command, language="en")  # the connection is kept
        assert "harbor" in Transcript.from_event(transcript).text
    async with connected(Service(stack.url, "tk_wrong")) as client:
        assert Error.from_event(await speak(client, command)).code == "not_authenticated"
    async with connected(Service(f"http://127.0.0.1:{free_port()}", token)) as client:
        assert Error.from_event(await speak(client, command)).text == wyoming_server.UNREACHABLE


@pytest.mark.django_db(transaction=True)
async def test_requests_are_not_redirected_to_https(settings: Any, media: Media) -> None:
    settings.SITE_URL, settings.SECURE_SSL_REDIRECT = "https://example.com", True
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    service = Service("http://127.0.0.1:8000", "tk_wrong")
    web = httpx.ASGITransport(cast("Any", get_asgi_application()))
    service._client = httpx.AsyncClient(
        transport=web, base_url="http://127.0.0.1:8000", headers=service._client.headers
    )
    async with connected(service) as client:
        error = Error.from_event(await speak(client, media.speech("command.wav", 6)))
    assert error.code == "not_authenticated"


async def test_server_describes_itself_and_answers_pings_and_silence() -> None:
    async with connected(Service("http://127.0.0.1:1", "tk_unused")) as client:
        await client.write_event(Describe().event())
        (program,) = Info.from_event(await answer(client)).asr
        assert program.installed
        assert {"en", "de", "zh"} <= set(program.models[0].languages)
        await client.write_event(Ping(text="1").event())
        assert Pong.from_event(await answer(client)).text == "1"
        await client.write_event(AudioStop().event())  # nobody spoke
        assert Transcript.from_event(await answer(client)).text == ""


async def test_endless_command_is_kept_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []

    async def transcribe(samples: bytes, *_: Any) -> tuple[str, str]:
        sent.append(len(samples))
        return "", "en"

    service = Service("http://127.0.0.1:1", "tk_unused")
    monkeypatch.setattr(service, "transcribe", transcribe)
    monkeypatch.setattr(wyoming_server, "MAX_COMMAND_BYTES", 10_000)
    async with connected(service) as client:
        for _ in range(10):
            await client.write_event(AudioChunk(16_000, 2, 1, bytes(4_000)).event())
        await client.write_event(AudioStop().event())
        await answer(client)
    assert sent == [12_000]


@pytest.mark.parametrize(("token", "starts"), [("", False), ("tk_any", True)])
def test_make_run_starts_it_only_with_a_token(settings: Any, token: str, starts: bool) -> None:
    settings.WYOMING_TOKEN = token
    commands = [child.command for child in ServiceStack("127.0.0.1", 8000).children]
    assert (["-m", "transcodio_site.wyoming_server"] in [c[1:] for c in commands]) is starts


def run(**environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "transcodio_site.wyoming_server"]
    call = partial(subprocess.run, capture_output=True, text=True, timeout=WAIT_S, check=False)
    return call(command, cwd=ROOT, env=os.environ | environment)


def test_server_without_token_or_port_says_what_to_set(stack: Stack) -> None:
    assert "Set WYOMING_TOKEN" in run(WYOMING_TOKEN="").stderr
    taken = stack.url.rsplit(":", 1)[1]
    assert "WYOMING_PORT" in run(WYOMING_TOKEN="tk_any", WYOMING_PORT=taken).stderr
