"""Server-Sent Events over HTTP, through the whole ASGI application."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from channels.db import database_sync_to_async
from django.core.signals import request_finished
from django.test import Client
from django.utils import timezone

from accounts.models import ApiToken, User
from accounts.tokens import issue_token
from gpu.types import Metadata
from transcodio_site.testing import WAIT_S
from transcriptions.models import State, Transcription
from transcriptions.processing import commands, lifecycle, pipeline
from transcriptions.realtime import streams
from transcriptions.realtime.tests.subscriptions import until_subscribers
from transcriptions.schemas.events import PartialEvent
from transcriptions.testing import ScriptedEngine, add_segment, prepare_again

pytestmark = pytest.mark.django_db(transaction=True)


class EventStreamClient(ApplicationCommunicator):
    """A client that reads the events of a transcription and accepts compressed responses."""

    def __init__(self, user: User, row: Transcription, **headers: str) -> None:
        from transcodio_site.asgi import application

        self.text = ""
        request_headers = {"authorization": f"Bearer {issue_token(user)[1]}", "host": "127.0.0.1"}
        request_headers |= {"accept-encoding": "gzip, br"} | headers
        path = f"/api/transcriptions/{row.id}/events"
        scope = {"path": path, "raw_path": path.encode(), "query_string": b"", "method": "GET"}
        scope |= {"headers": [(k.encode(), v.encode()) for k, v in request_headers.items()]}
        super().__init__(application, {"type": "http", "http_version": "1.1"} | scope)

    async def open(self) -> tuple[int, dict[str, str]]:
        """Send the request. Return status and headers of the response."""
        await self.send_input({"type": "http.request", "body": b"", "more_body": False})
        start = await self.receive_output(WAIT_S)
        headers = {k.decode().lower(): v.decode() for k, v in start["headers"]}
        return start["status"], headers

    async def until(self, text: str) -> str:
        """Read until `text` was received. Return all text received so far."""
        while text not in self.text:
            message = await self.receive_output(WAIT_S)
            self.text += message.get("body", b"").decode()
            assert message.get("more_body") or text in self.text, self.text
        return self.text

    async def disconnect(self) -> None:
        await self.send_input({"type": "http.disconnect"})
        # `wait` would cancel a stream that does not end, and report nothing.
        ended, _ = await asyncio.wait([self.future], timeout=WAIT_S)
        assert ended


@pytest.fixture
def leased(prepared: Transcription) -> Transcription:
    """A row that a worker has leased for transcription."""
    row = lifecycle.claim(prepared.id, State.TRANSCRIBING)
    assert row
    return row


def add_first_segment(row: Transcription) -> None:
    lifecycle.mark_started(row, "scripted", Metadata("en", "scripted-1"))
    add_segment(row, 1)


async def test_stream_disables_buffering_and_sends_keep_alive(
    alice: User, leased: Transcription, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_S", 0.05)
    stream = await database_sync_to_async(EventStreamClient)(alice, leased)
    status, headers = await stream.open()
    assert status == 200
    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    assert headers["x-accel-buffering"] == "no"
    assert "no-transform" in headers["cache-control"]
    assert "content-encoding" not in headers
    assert "content-length" not in headers
    await stream.until(": keep-alive\n\n")
    assert stream.text.startswith("retry: 2000\n\n")
    await database_sync_to_async(add_first_segment)(leased)
    await asyncio.to_thread(streams.publish, leased.id, PartialEvent(id=1, text="Se"))
    await stream.until("id: 1\nevent: progress\ndata: {")
    await stream.disconnect()


async def test_disconnect_ends_subscription(alice: User, leased: Transcription) -> None:
    stream = await database_sync_to_async(EventStreamClient)(alice, leased)
    await stream.open()
    await until_subscribers(leased, 1)
    await stream.disconnect()
    await until_subscribers(leased, 0)


@pytest.mark.covers("fault", "Many clients disconnect at the same time")
async def test_closing_streams_share_one_thread(alice: User, leased: Transcription) -> None:
    closed_in: list[int] = []

    def note_thread(**_: Any) -> None:
        closed_in.append(threading.get_ident())

    request_finished.connect(note_thread)
    create = database_sync_to_async(EventStreamClient)
    clients = [await create(alice, leased) for _ in range(5)]
    for stream in clients:
        await stream.open()
    await until_subscribers(leased, 1)
    await asyncio.gather(*(stream.disconnect() for stream in clients))
    request_finished.disconnect(note_thread)
    assert len(closed_in) == 5
    assert len(set(closed_in)) == 1


def resume(client: Client, row: Transcription, last_event_id: str) -> Any:
    return client.get(
        f"/api/transcriptions/{row.id}/events", headers={"Last-Event-ID": last_event_id}
    )


async def until_closed(stream: EventStreamClient) -> None:
    more = True
    while more:
        more = (await stream.receive_output(WAIT_S)).get("more_body", False)
    ended, _ = await asyncio.wait([stream.future], timeout=WAIT_S)
    assert ended


@pytest.mark.covers("attack", "A program keeps listening after its token was revoked")
@pytest.mark.parametrize("reason", ["revoked", "account closed"])
async def test_stream_ends_as_soon_as_access_is_revoked(
    alice: User, leased: Transcription, reason: str
) -> None:
    def revoke() -> None:
        if reason == "revoked":
            ApiToken.objects.get(user=alice).delete()
        else:
            alice.is_active = False
            alice.save()

    stream = await database_sync_to_async(EventStreamClient)(alice, leased)
    await stream.open()
    await until_subscribers(leased, 1)
    await database_sync_to_async(revoke)()
    await until_closed(stream)


async def test_stream_ends_after_token_has_expired(
    alice: User, leased: Transcription, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_S", 0.2)
    monkeypatch.setattr(streams, "AUTHORIZATION_CHECK_S", 0.0)
    stream = await database_sync_to_async(EventStreamClient)(alice, leased)
    await stream.open()
    await stream.until("keep-alive")
    await ApiToken.objects.filter(user=alice).aupdate(expires_at=timezone.now())
    await until_closed(stream)


def test_resume_after_last_event_is_204(api: Client, finished: Transcription) -> None:
    assert resume(api, finished, "5").status_code == 200
    for event_id in ("6", "7", "999999999"):
        assert resume(api, finished, event_id).status_code == 204
    for event_id in ("", "-1", "x", "6-x", "9" * 30):
        assert resume(api, finished, event_id).status_code == 200


async def received_ids(user: User, row: Transcription, after: str) -> list[str]:
    stream = await database_sync_to_async(EventStreamClient)(user, row, **{"last-event-id": after})
    assert (await stream.open())[0] == 200
    text = await stream.until("event: complete" if row.state == State.COMPLETED else "event: error")
    ended, _ = await asyncio.wait([stream.future], timeout=WAIT_S)
    assert ended
    return [line[4:] for line in text.splitlines() if line.startswith("id: ")]


async def test_error_id_does_not_hide_segments_after_retry(
    alice: User, api: Client, prepared: Transcription, engine: ScriptedEngine
) -> None:
    def retry_and_complete() -> None:
        commands.retry(prepared)
        prepare_again(prepared)
        del engine.before[4]
        pipeline.transcribe(prepared.id)
        prepared.refresh_from_db()

    engine.before[4] = lambda: 1 / 0
    await database_sync_to_async(pipeline.transcribe)(prepared.id)
    await database_sync_to_async(prepared.refresh_from_db)()
    assert await received_ids(alice, prepared, "1") == ["2", "3", "3-error"]
    response = await database_sync_to_async(resume)(api, prepared, "3-error")
    assert response.status_code == 204
    await database_sync_to_async(retry_and_complete)()
    assert await received_ids(alice, prepared, "3-error") == ["4", "5", "6"]
