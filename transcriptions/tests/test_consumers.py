"""The dashboard's WebSocket: the owner's alone, complete, and closed when there is no more."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from channels.db import database_sync_to_async
from channels.routing import URLRouter
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.db import SessionStore
from django.test import Client

from accounts.models import User
from transcodio_site.testing import WAIT_S
from transcriptions import events, pipeline
from transcriptions.models import Transcription
from transcriptions.routing import websocket_urlpatterns
from transcriptions.tests.conftest import ScriptedEngine

pytestmark = pytest.mark.django_db(transaction=True)


class Socket(ApplicationCommunicator):
    """A browser's end of the connection. (That of Channels keeps database connections open.)"""

    def __init__(self, app: Any, id: object, query: str = "", **scope: Any) -> None:
        path = f"/ws/transcriptions/{id}/"
        scope = {"path": path, "query_string": query.encode(), "headers": []} | scope
        super().__init__(app, {"type": "websocket", "subprotocols": []} | scope)

    async def connect(self) -> bool:
        """Whether we are let in."""
        await self.send_input({"type": "websocket.connect"})
        return bool((await self.receive_output(WAIT_S))["type"] == "websocket.accept")

    async def next(self) -> dict[str, Any]:
        """The next event."""
        event: dict[str, Any] = json.loads((await self.receive_output(WAIT_S))["text"])
        return event

    async def everything(self) -> tuple[list[dict[str, Any]], int]:
        """All events until the server closes, and its close code."""
        assert await self.connect()
        heard: list[dict[str, Any]] = []
        while (message := await self.receive_output(WAIT_S))["type"] == "websocket.send":
            heard.append(json.loads(message["text"]))
        await self.send_input({"type": "websocket.disconnect", "code": message["code"]})
        await self.wait(WAIT_S)
        return heard, message["code"]


SESSION = SessionStore("a" * 32)


@pytest.fixture(autouse=True)
def signed_in(transactional_db: None) -> None:
    """Whoever connects by `socket` has this session."""
    SESSION.save(must_create=True)


def socket(user: Any, id: object, query: str = "") -> Socket:
    """A connection by `user`, who has signed in already."""
    return Socket(URLRouter(websocket_urlpatterns), id, query, user=user, session=SESSION)


@pytest.mark.parametrize("how", ["signed out", "closed"])
async def test_nobody_listens_on_after_the_session_has_ended(
    alice: User, prepared: Transcription, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(events, "HEARTBEAT", 0.2)
    listening = socket(alice, prepared.id)
    assert await listening.connect()
    if how == "closed":
        await User.objects.filter(pk=alice.pk).aupdate(is_active=False)
    else:
        await SESSION.adelete()
    assert (await listening.receive_output(WAIT_S))["type"] == "websocket.close"
    await listening.send_input({"type": "websocket.disconnect", "code": 1000})
    await listening.wait(WAIT_S)


@pytest.fixture
def finished(prepared: Transcription, engine: ScriptedEngine) -> Transcription:
    assert pipeline.transcribe(prepared.id)
    return prepared


async def test_the_owner_hears_all_of_it(alice: User, finished: Transcription) -> None:
    heard, code = await socket(alice, finished.id).everything()
    assert [event["id"] for event in heard] == [0, 1, 2, 3, 4, 5, 6]
    assert [event["type"] for event in heard] == ["metadata", *["progress"] * 5, "complete"]
    assert heard[1]["segment"]["words"] == [{"start": 0.0, "end": 0.9, "text": "Sentence 1."}]
    assert code == 1000


@pytest.mark.parametrize(
    ("query", "first"), [("after=3", 4), ("after=-1", 0), ("after=x", 0), ("a&after=6", None)]
)
async def test_after_says_what_is_known_already(
    alice: User, finished: Transcription, query: str, first: int | None
) -> None:
    heard, code = await socket(alice, finished.id, query).everything()
    assert (heard[0]["id"] if heard else None) == first
    assert code == 1000


async def test_words_arrive_while_they_are_recognised(
    alice: User, prepared: Transcription, engine: ScriptedEngine
) -> None:
    connection = socket(alice, prepared.id)
    assert await connection.connect()
    work = database_sync_to_async(pipeline.transcribe, thread_sensitive=False)
    assert await work(prepared.id)
    assert [(await connection.next())["id"] for _ in range(7)] == list(range(7))


async def test_a_stranger_learns_nothing(bob: User, finished: Transcription) -> None:
    assert await socket(bob, finished.id).everything() == ([], 4404)
    assert await socket(AnonymousUser(), finished.id).everything() == ([], 4404)
    assert await socket(bob, uuid.uuid4()).everything() == ([], 4404)


async def test_staff_is_a_stranger_too(carol: User, finished: Transcription) -> None:
    assert await socket(carol, finished.id).everything() == ([], 4404)


async def test_the_session_cookie_opens_the_door_and_a_foreign_page_does_not(
    alice: User, finished: Transcription, client: Client
) -> None:
    from transcodio_site.asgi import application

    await database_sync_to_async(client.force_login)(alice)
    cookie = f"sessionid={client.cookies['sessionid'].value}".encode()

    def page_of(origin: bytes) -> Socket:
        headers = [(b"cookie", cookie), (b"origin", origin), (b"host", b"127.0.0.1")]
        return Socket(application, finished.id, headers=headers)

    heard, code = await page_of(b"http://127.0.0.1").everything()
    assert (len(heard), code) == (7, 1000)
    assert not await page_of(b"http://evil.example").connect()
