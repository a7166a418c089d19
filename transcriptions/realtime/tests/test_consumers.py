"""The WebSocket: owners only, complete, and closed after the last event."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from asgiref.testing import ApplicationCommunicator
from channels.db import database_sync_to_async
from channels.routing import URLRouter
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.db import SessionStore
from django.test import Client

from accounts import concurrency
from accounts.models import User
from transcodio_site.testing import WAIT_S
from transcriptions.models import Transcription
from transcriptions.processing import pipeline
from transcriptions.realtime import streams
from transcriptions.realtime.publisher import publisher
from transcriptions.realtime.routing import websocket_urlpatterns
from transcriptions.realtime.tests.subscriptions import until_subscribers
from transcriptions.testing import ScriptedEngine

pytestmark = pytest.mark.django_db(transaction=True)


class WebSocketClient(ApplicationCommunicator):
    """A WebSocket client. The one that Channels provides keeps database connections open."""

    def __init__(self, app: Any, transcription_id: object, query: str = "", **scope: Any) -> None:
        path = f"/ws/transcriptions/{transcription_id}/"
        scope = {"path": path, "query_string": query.encode(), "headers": []} | scope
        super().__init__(app, {"type": "websocket", "subprotocols": []} | scope)

    async def connect(self) -> bool:
        """Whether the server accepted the connection."""
        await self.send_input({"type": "websocket.connect"})
        return bool((await self.receive_output(WAIT_S))["type"] == "websocket.accept")

    async def next_event(self) -> dict[str, Any]:
        """The next event from the server."""
        event: dict[str, Any] = json.loads((await self.receive_output(WAIT_S))["text"])
        return event

    async def all_events(self) -> tuple[list[dict[str, Any]], int]:
        """All events until the server closes, and its close code."""
        assert await self.connect()
        events: list[dict[str, Any]] = []
        while (message := await self.receive_output(WAIT_S))["type"] == "websocket.send":
            events.append(json.loads(message["text"]))
        await self.send_input({"type": "websocket.disconnect", "code": message["code"]})
        await self.wait(WAIT_S)
        return events, message["code"]


SESSION = SessionStore("a" * 32)


@pytest.fixture(autouse=True)
def session(transactional_db: None) -> None:
    """Store the session that `websocket` uses."""
    SESSION.save(must_create=True)


def websocket(user: Any, transcription_id: object, query: str = "") -> WebSocketClient:
    """A client whose session belongs to `user`."""
    application = URLRouter(websocket_urlpatterns)
    return WebSocketClient(application, transcription_id, query, user=user, session=SESSION)


async def until_closed(connection: WebSocketClient) -> None:
    assert (await connection.receive_output(WAIT_S))["type"] == "websocket.close"
    await connection.send_input({"type": "websocket.disconnect", "code": 1000})
    await connection.wait(WAIT_S)


@pytest.mark.covers("attack", "An open page keeps listening after its session was ended")
@pytest.mark.parametrize("reason", ["signed out elsewhere", "account closed", "password changed"])
async def test_websocket_closes_as_soon_as_access_is_revoked(
    alice: User, prepared: Transcription, reason: str
) -> None:
    def sign_in() -> None:
        session = SessionStore(SESSION.session_key)
        session[SESSION_KEY] = str(alice.pk)
        session.save()

    def revoke() -> None:
        user = User.objects.get(pk=alice.pk)
        match reason:
            case "signed out elsewhere":
                UserSession.objects.get(session_key=SESSION.session_key).end()
            case "account closed":
                user.is_active = False
                user.save()
            case "password changed":
                user.set_password("new horse battery")
                user.save()

    listed = {"session_key": SESSION.session_key, "ip": "127.0.0.1", "user_agent": "Firefox"}
    await UserSession.objects.acreate(user=alice, **listed)
    await database_sync_to_async(sign_in)()
    connection = websocket(alice, prepared.id)
    assert await connection.connect()
    await until_subscribers(prepared, 1)
    await database_sync_to_async(revoke)()
    await until_closed(connection)


def test_end_of_a_session_is_announced_when_it_is_no_longer_valid(
    browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, valid = str(browser.session.session_key), list[bool]()
    monkeypatch.setattr(publisher, "send", lambda *_: valid.append(SESSION.exists(key)))
    browser.logout()
    assert valid == [False]


async def test_websocket_closes_after_session_has_expired(
    alice: User, prepared: Transcription, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_S", 0.2)
    monkeypatch.setattr(streams, "AUTHORIZATION_CHECK_S", 0.0)
    connection = websocket(alice, prepared.id)
    assert await connection.connect()
    await SESSION.adelete()
    await until_closed(connection)


@pytest.fixture
def finished(prepared: Transcription, engine: ScriptedEngine) -> Transcription:
    assert pipeline.transcribe(prepared.id)
    return prepared


async def test_owner_receives_all_events(alice: User, finished: Transcription) -> None:
    events, code = await websocket(alice, finished.id).all_events()
    assert [event["id"] for event in events] == [0, 1, 2, 3, 4, 5, 6]
    assert [event["type"] for event in events] == ["metadata", *["progress"] * 5, "complete"]
    assert events[1]["segment"]["words"] == [{"start": 0.0, "end": 0.9, "text": "Sentence 1."}]
    assert code == 1000


@pytest.mark.parametrize(
    ("query", "first"), [("after=3", 4), ("after=-1", 0), ("after=x", 0), ("a&after=6", None)]
)
async def test_after_parameter_skips_received_events(
    alice: User, finished: Transcription, query: str, first: int | None
) -> None:
    events, code = await websocket(alice, finished.id, query).all_events()
    assert (events[0]["id"] if events else None) == first
    assert code == 1000


async def test_events_arrive_during_transcription(
    alice: User, prepared: Transcription, engine: ScriptedEngine
) -> None:
    connection = websocket(alice, prepared.id)
    assert await connection.connect()
    transcribe = database_sync_to_async(pipeline.transcribe, thread_sensitive=False)
    assert await transcribe(prepared.id)
    assert [(await connection.next_event())["id"] for _ in range(7)] == list(range(7))


@pytest.mark.covers("attack", "A WebSocket for the recording of another user")
async def test_stranger_is_closed_with_4404(bob: User, finished: Transcription) -> None:
    assert await websocket(bob, finished.id).all_events() == ([], 4404)
    assert await websocket(AnonymousUser(), finished.id).all_events() == ([], 4404)
    assert await websocket(bob, uuid.uuid4()).all_events() == ([], 4404)


async def test_staff_is_closed_with_4404(carol: User, finished: Transcription) -> None:
    assert await websocket(carol, finished.id).all_events() == ([], 4404)


@pytest.mark.covers("attack", "A page of another site opens a WebSocket with the visitor's session")
async def test_session_cookie_is_accepted_and_foreign_origin_rejected(
    alice: User, finished: Transcription, client: Client
) -> None:
    from transcodio_site.asgi import application

    await database_sync_to_async(client.force_login)(alice)
    cookie = f"sessionid={client.cookies['sessionid'].value}".encode()

    def client_with_origin(origin: bytes) -> WebSocketClient:
        headers = [(b"cookie", cookie), (b"origin", origin), (b"host", b"127.0.0.1")]
        return WebSocketClient(application, finished.id, headers=headers)

    events, code = await client_with_origin(b"http://127.0.0.1").all_events()
    assert (len(events), code) == (7, 1000)
    for origin in (b"http://evil.example", b"https://127.0.0.1", b"http://127.0.0.1:8001"):
        assert not await client_with_origin(origin).connect()


@pytest.mark.covers("attack", "A page connects its WebSocket in a loop")
async def test_too_many_handshakes_are_closed_with_4429(
    alice: User, finished: Transcription, settings: Any
) -> None:
    settings.RATE_LIMIT_PAGES = "1/hour"
    codes = [(await websocket(alice, finished.id).all_events())[1] for _ in range(2)]
    assert codes == [1000, 4429]


@pytest.mark.covers("attack", "One user opens more and more WebSockets")
async def test_too_many_websockets_are_closed_with_4429(
    alice: User, finished: Transcription, settings: Any
) -> None:
    settings.MAX_STREAMS_PER_USER = 1
    with concurrency.streams.hold(alice):
        assert await websocket(alice, finished.id).all_events() == ([], 4429)
    for _ in range(2):  # a closed WebSocket is no longer counted
        assert (await websocket(alice, finished.id).all_events())[1] == 1000
