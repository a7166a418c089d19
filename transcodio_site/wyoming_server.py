"""Speech recognition for Home Assistant: `python -m transcodio_site.wyoming_server`.

The Wyoming protocol (https://github.com/OHF-Voice/wyoming) sends voice commands over TCP, without
authentication. Each is sent to the REST API with the token of the account to which it is charged,
and deleted as soon as it is answered. This process does not use the database, and may run on
another machine.
"""

from __future__ import annotations

import asyncio
import io
import logging
import os
import sys
import wave
from collections.abc import Sequence
from typing import Any

import httpx
from django.conf import settings
from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioChunkConverter, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event
from wyoming.info import AsrModel, AsrProgram, Attribution, Describe, Info
from wyoming.ping import Ping, Pong
from wyoming.server import AsyncEventHandler, AsyncTcpServer

from gpu.languages import LANGUAGES
from transcodio_site import __version__
from transcodio_site.local_requests import forwarded_headers

log = logging.getLogger(__name__)

RATE_HZ, SAMPLE_BYTES = 16_000, 2
MAX_COMMAND_BYTES = 300 * RATE_HZ * SAMPLE_BYTES  # five minutes: it is kept in memory
TIMEOUT_S = 600.0  # for the transcript of one command
TITLE = "Voice command"
JsonObject = dict[str, Any]
UNREACHABLE = "Transcodio cannot be reached."


class CommandRefused(Exception):
    """The command was not transcribed. `str()` is for the person who spoke."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class Service:
    """The REST API, with the token of one account."""

    def __init__(self, url: str, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"} | forwarded_headers()
        self._client = httpx.AsyncClient(base_url=url, headers=headers, timeout=TIMEOUT_S)

    async def transcribe(
        self, samples: bytes, language: str, keywords: Sequence[str]
    ) -> tuple[str, str | None]:
        """The text and its language. Raises CommandRefused."""
        try:
            recording = (await self._upload(samples, language, keywords))["id"]
            try:
                return await self._transcript(f"/api/transcriptions/{recording}")
            finally:
                await self._delete(f"/api/transcriptions/{recording}")
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            log.warning("no transcript: %r", error)
            raise CommandRefused(UNREACHABLE, "unreachable") from error

    async def _upload(self, samples: bytes, language: str, keywords: Sequence[str]) -> JsonObject:
        response = await self._client.post(
            "/api/transcriptions",
            params={
                "title": TITLE,
                "language": language,
                "keywords": keywords,
                "diarize": False,  # whatever the account's setting is
            },
            content=wav(samples),
            headers={"Content-Type": "audio/wav"},
        )
        return _read(response)

    async def _transcript(self, path: str) -> tuple[str, str | None]:
        async with self._client.stream("GET", f"{path}/events") as events:
            if events.is_error:
                await events.aread()
                _read(events)
            async for _ in events.aiter_lines():
                pass  # the last event comes at the end of the transcription
        transcript = _read(await self._client.get(path))
        if error := transcript["error"]:
            raise CommandRefused(error["detail"], error["code"])
        if transcript["state"] != "completed":
            raise CommandRefused(UNREACHABLE, "unreachable")  # the stream was cut off
        return transcript["text"], transcript["language"]

    async def _delete(self, path: str) -> None:
        """Delete the recording. A failure is only logged: the transcript is more important."""
        try:
            (await self._client.delete(path)).raise_for_status()
        except httpx.HTTPError as error:
            log.warning("%s was not deleted: %r", path, error)


def _read(response: httpx.Response) -> JsonObject:
    """The JSON object. Raises CommandRefused, ValueError, KeyError, TypeError."""
    body: JsonObject = response.json()
    if response.is_error:
        raise CommandRefused(body["detail"], body["code"])
    return body


class VoiceCommands(AsyncEventHandler):
    """One connection: it can carry any number of voice commands, one after another."""

    def __init__(
        self, service: Service, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        super().__init__(reader, writer)
        self._service = service
        self._converter = AudioChunkConverter(RATE_HZ, SAMPLE_BYTES, 1)
        self._request = Transcribe()
        self._samples = bytearray()

    async def handle_event(self, event: Event) -> bool:
        """Answer one message. Return whether to keep the connection."""
        if Describe.is_type(event.type):
            await self.write_event(description().event())
        elif Ping.is_type(event.type):
            await self.write_event(Pong(text=Ping.from_event(event).text).event())
        elif Transcribe.is_type(event.type):
            self._request = Transcribe.from_event(event)
        elif AudioStart.is_type(event.type):
            self._samples.clear()  # an earlier command without an end
        elif AudioChunk.is_type(event.type):
            if len(self._samples) < MAX_COMMAND_BYTES:
                self._samples += self._converter.convert(AudioChunk.from_event(event)).audio
        elif AudioStop.is_type(event.type):
            await self._answer()
        return True

    async def _answer(self) -> None:
        samples, request = bytes(self._samples), self._request
        self._samples.clear()
        keywords = [*(request.transcript_names or ()), *(request.transcript_terms or ())]
        try:
            text, language = "", request.language
            if samples:
                text, language = await self._service.transcribe(samples, language or "", keywords)
        except CommandRefused as error:
            await self.write_event(Error(text=str(error), code=error.code).event())
        else:
            await self.write_event(Transcript(text=text, language=language).event())


def wav(samples: bytes) -> bytes:
    """16-bit samples of one channel as a WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(SAMPLE_BYTES)
        out.setframerate(RATE_HZ)
        out.writeframes(samples)
    return file.getvalue()


def description() -> Info:
    """What Home Assistant shows about this service."""
    common: dict[str, Any] = {
        "attribution": Attribution(name="Transcodio", url=settings.SITE_URL),
        "installed": True,
        "version": __version__,
    }
    engine = "The speech engine of this server"
    model = AsrModel(name="transcodio", description=engine, languages=list(LANGUAGES), **common)
    program = AsrProgram(
        name="Transcodio", description="Speech recognition", models=[model], **common
    )
    return Info(asr=[program])


def main() -> None:
    """Serve until SIGTERM."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "transcodio_site.settings")
    host, port = settings.WYOMING_HOST, settings.WYOMING_PORT
    if not settings.WYOMING_TOKEN:
        sys.exit(
            "Set WYOMING_TOKEN to an API token of the account to which voice commands are charged."
        )
    service = Service(settings.WYOMING_SERVER, settings.WYOMING_TOKEN)
    try:
        asyncio.run(serve(service, host, port))
    except OSError as error:
        sys.exit(f"Cannot listen on {host}:{port} (WYOMING_HOST, WYOMING_PORT): {error.strerror}")


async def serve(service: Service, host: str, port: int) -> None:
    """Answer voice commands until SIGTERM. Raises OSError."""
    server = AsyncTcpServer(host, port)
    await server.run(lambda reader, writer: VoiceCommands(service, reader, writer))


if __name__ == "__main__":
    main()
