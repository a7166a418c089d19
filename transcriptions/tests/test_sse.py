"""Server-Sent Events over HTTP, through the whole application that the server serves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import redis.asyncio
from asgiref.testing import ApplicationCommunicator
from channels.db import database_sync_to_async
from django.conf import settings
from django.test import Client
from django.utils import timezone

from accounts.models import ApiToken, User
from gpu.types import Metadata
from transcodio_site.testing import WAIT_S
from transcriptions import actions, events, pipeline
from transcriptions.models import State, Transcription
from transcriptions.tests.conftest import ScriptedEngine, spoken

pytestmark = pytest.mark.django_db(transaction=True)


class Stream(ApplicationCommunicator):
    """A client that reads events, and takes everything compressed that it can get."""

    def __init__(self, user: User, row: Transcription, **headers: str) -> None:
        from transcodio_site.asgi import application

        self.text = ""
        sent = {"authorization": f"Bearer {ApiToken.issue(user)[1]}", "host": "127.0.0.1"}
        sent |= {"accept-encoding": "gzip, br"} | headers
        path = f"/api/transcriptions/{row.id}/events"
        scope = {"path": path, "raw_path": path.encode(), "query_string": b"", "method": "GET"}
        scope |= {"headers": [(k.encode(), v.encode()) for k, v in sent.items()]}
        super().__init__(application, {"type": "http", "http_version": "1.1"} | scope)

    async def begin(self) -> tuple[int, dict[str, str]]:
        """Status and headers."""
        await self.send_input({"type": "http.request", "body": b"", "more_body": False})
        start = await self.receive_output(WAIT_S)
        headers = {k.decode().lower(): v.decode() for k, v in start["headers"]}
        return start["status"], headers

    async def until(self, words: str) -> str:
        """Reads on until `words` have come; returns all that has come."""
        while words not in self.text:
            message = await self.receive_output(WAIT_S)
            self.text += message.get("body", b"").decode()
            assert message.get("more_body") or words in self.text, self.text
        return self.text

    async def go_away(self) -> None:
        await self.send_input({"type": "http.disconnect"})
        await self.wait(WAIT_S)


@pytest.fixture
def claimed(prepared: Transcription) -> Transcription:
    """A recording whose engine is at work."""
    row = Transcription.objects.claim(prepared.id, State.TRANSCRIBING)
    assert row
    return row


def say(row: Transcription) -> None:
    row.started("scripted", Metadata("en", "scripted-1"))
    row.add_segment(spoken(1))


async def test_a_stream_passes_proxies_and_shows_that_it_is_alive(
    alice: User, claimed: Transcription, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "HEARTBEAT", 0.05)
    stream = await database_sync_to_async(Stream)(alice, claimed)
    status, headers = await stream.begin()
    assert status == 200
    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    assert headers["x-accel-buffering"] == "no"
    assert "no-transform" in headers["cache-control"]
    assert "content-encoding" not in headers
    assert "content-length" not in headers
    await stream.until(": keep-alive\n\n")
    assert stream.text.startswith("retry: 2000\n\n")
    await database_sync_to_async(say)(claimed)
    await stream.until("id: 1\nevent: progress\ndata: {")
    await stream.go_away()


async def test_who_goes_away_leaves_nothing_behind(alice: User, claimed: Transcription) -> None:
    stream = await database_sync_to_async(Stream)(alice, claimed)
    await stream.begin()
    await stream.until("retry")
    client = redis.asyncio.Redis.from_url(settings.REDIS_URL)

    async def groups() -> int:
        return len(await client.keys(f"*{claimed.id}*"))

    async with asyncio.timeout(WAIT_S):
        while not await groups():
            pass
        await stream.go_away()
        while await groups():
            pass
    await client.aclose()


def seen(client: Client, row: Transcription, id: str) -> Any:
    return client.get(f"/api/transcriptions/{row.id}/events", headers={"Last-Event-ID": id})


@pytest.mark.parametrize("how", ["revoked", "expired", "closed"])
async def test_a_stream_ends_when_its_token_does(
    alice: User, claimed: Transcription, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(events, "HEARTBEAT", 0.2)
    stream = await database_sync_to_async(Stream)(alice, claimed)
    await stream.begin()
    await stream.until("keep-alive")
    tokens = ApiToken.objects.filter(user=alice)
    match how:
        case "revoked":
            await tokens.adelete()
        case "expired":
            await tokens.aupdate(expires_at=timezone.now())
        case "closed":
            await User.objects.filter(pk=alice.pk).aupdate(is_active=False)
    more = True
    while more:
        more = (await stream.receive_output(WAIT_S)).get("more_body", False)
    await stream.wait(WAIT_S)


def test_who_has_seen_the_end_is_told_not_to_come_back(
    api: Client, finished: Transcription
) -> None:
    assert seen(api, finished, "5").status_code == 200
    for id in ("6", "7", "999999999"):
        assert seen(api, finished, id).status_code == 204
    for id in ("", "-1", "x", "6-x", "9" * 30):
        assert seen(api, finished, id).status_code == 200


async def ids(user: User, row: Transcription, after: str) -> list[str]:
    stream = await database_sync_to_async(Stream)(user, row, **{"last-event-id": after})
    assert (await stream.begin())[0] == 200
    text = await stream.until("event: complete" if row.state == State.COMPLETED else "event: error")
    await stream.wait(WAIT_S)
    return [line[4:] for line in text.splitlines() if line.startswith("id: ")]


async def test_an_error_takes_no_number_from_what_follows_a_retry(
    alice: User, api: Client, prepared: Transcription, engine: ScriptedEngine
) -> None:
    def fails_and_goes_on() -> None:
        actions.retry(prepared)
        del engine.before[4]
        pipeline.transcribe(prepared.id)
        prepared.refresh_from_db()

    engine.before[4] = lambda: 1 / 0
    await database_sync_to_async(pipeline.transcribe)(prepared.id)
    await database_sync_to_async(prepared.refresh_from_db)()
    assert await ids(alice, prepared, "1") == ["2", "3", "3-error"]
    again = await database_sync_to_async(seen)(api, prepared, "3-error")
    assert again.status_code == 204
    await database_sync_to_async(fails_and_goes_on)()
    assert await ids(alice, prepared, "3-error") == ["4", "5", "6"]
