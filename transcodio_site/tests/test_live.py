"""Live sessions over `WS /api/live`, with the running stack and its real speech engine."""

from __future__ import annotations

import json
import wave
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

import httpx
import psutil
import psycopg
import pytest
import redis
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection
from websockets.typing import Origin, Subprotocol

from transcodio_site.embedded import postgres_url, redis_url
from transcodio_site.supervisor import is_healthy
from transcodio_site.testing import Media, Stack, connect, wait_until
from transcriptions.realtime.messages import access_channel

SECONDS = 12
UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def token(stack: Stack) -> str:
    return stack.token("speaker@example.com")


@pytest.fixture(scope="module")
def speech(media: Media) -> bytes:
    """Samples at 24 kHz."""
    options = ("-ar", "24000", "-ac", "1", "-c:a", "pcm_s16le")
    with wave.open(str(media.speech("live.wav", SECONDS, *options)), "rb") as wav:
        return wav.readframes(wav.getnframes())


def open_live(stack: Stack, token: str = "", **parameters: str) -> ClientConnection:
    """A connection with or without a token."""
    url = f"{stack.url.replace('http', 'ws', 1)}/api/live?{urlencode(parameters)}"
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return connect(url, additional_headers=headers, max_size=None)


def messages(socket: ClientConnection) -> Iterator[dict[str, Any]]:
    """All messages that it receives until it is closed."""
    try:
        while True:
            yield json.loads(socket.recv())
    except ConnectionClosed:
        return


def wait_for(socket: ClientConnection, kind: str, **values: object) -> dict[str, Any]:
    for message in messages(socket):
        if message["type"] == kind and values.items() <= message.items():
            return message
    raise AssertionError(f"no {kind}: {socket.close_code} {socket.close_reason}")


def words(text: str) -> list[str]:
    return "".join(c for c in text.lower() if c.isalnum() or c == " ").split()


def test_speech_becomes_words_while_it_is_sent(stack: Stack, token: str, speech: bytes) -> None:
    with open_live(stack, token, title="Walk", language="en") as socket:
        opened = wait_for(socket, "session")
        assert (opened["received"], opened["bytes_per_second"]) == (0, 48_000)
        for start in range(0, len(speech), 4800):
            socket.send(speech[start : start + 4800])
        partial = wait_for(socket, "partial")
        assert partial["text"].endswith(partial["tentative"])
        socket.send(json.dumps({"type": "end"}))
        received = list(messages(socket))
        assert socket.close_code == 1000
    ids = [message["id"] for message in received if message["type"] == "progress"]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    assert received[-1]["type"] == "complete"
    assert received[-1]["duration"] == pytest.approx(SECONDS, abs=0.1)
    api = httpx.Client(base_url=stack.url, headers={"Authorization": f"Bearer {token}"})
    row = api.get(f"/api/transcriptions/{opened['session']}").json()
    assert (row["title"], row["state"]) == ("Walk", "completed")
    audio = api.get(f"/api/transcriptions/{opened['session']}/audio")
    assert audio.content[:4] == b"fLaC"
    assert {"harbor", "morning"} & set(words(row["text"])) or len(words(row["text"])) > 10


@pytest.mark.covers("fault", "The connection of a live session is lost")
def test_session_is_resumed_where_it_was_interrupted(
    stack: Stack, token: str, speech: bytes
) -> None:
    half = len(speech) // 4 * 2
    with open_live(stack, token, language="en") as socket:
        session = wait_for(socket, "session")["session"]
        socket.send(speech[:half])
        wait_for(socket, "received", received=half)
        socket.socket.close()  # without a closing handshake
    with open_live(stack, token, session=session) as socket:
        assert wait_for(socket, "session")["received"] == half
        socket.send(speech[half:])
        socket.send(json.dumps({"type": "end"}))
        assert wait_for(socket, "complete")["duration"] == pytest.approx(SECONDS, abs=0.1)


@pytest.mark.slow
@pytest.mark.covers("fault", "The worker of a live session is killed")
@pytest.mark.covers("fault", "The web server is killed during a live session")
@pytest.mark.parametrize("name", ["--queues live", "transcodio_site.server"])
def test_killed_process_loses_no_word(stack: Stack, token: str, speech: bytes, name: str) -> None:
    half = len(speech) // 4 * 2
    with open_live(stack, token, language="en") as socket:
        session = wait_for(socket, "session")["session"]
        socket.send(speech[:half])
        wait_for(socket, "received", received=half)
        wait_for(socket, "partial")
        assert stack.process
        children = psutil.Process(stack.process.pid).children()
        (child,) = (each for each in children if name in " ".join(each.cmdline()))
        child.kill()
    wait_until(lambda: is_healthy(stack.url))
    with open_live(stack, token, session=session) as socket:
        assert wait_for(socket, "session")["received"] == half
        socket.send(speech[half:])
        socket.send(json.dumps({"type": "end"}))
        assert wait_for(socket, "complete")["duration"] == pytest.approx(SECONDS, abs=0.1)
    api = httpx.Client(base_url=stack.url, headers={"Authorization": f"Bearer {token}"})
    heard = words(api.get(f"/api/transcriptions/{session}").json()["text"])
    assert heard == undisturbed(stack, token, speech)


def undisturbed(stack: Stack, token: str, speech: bytes) -> list[str]:
    """The words of a session in which nothing happens."""
    with open_live(stack, token, language="en") as socket:
        session = wait_for(socket, "session")["session"]
        socket.send(speech)
        socket.send(json.dumps({"type": "end"}))
        wait_for(socket, "complete")
    api = httpx.Client(base_url=stack.url, headers={"Authorization": f"Bearer {token}"})
    return words(api.get(f"/api/transcriptions/{session}").json()["text"])


@pytest.mark.parametrize("then", ["", "commit", "end"])
def test_second_connection_takes_over(stack: Stack, token: str, speech: bytes, then: str) -> None:
    with open_live(stack, token) as first:
        session = wait_for(first, "session")["session"]
        first.send(speech[:4800])
        wait_for(first, "received")
        with open_live(stack, token, session=session) as second:
            second.send(speech[4800:9600])
            wait_for(second, "received")
            first.send(speech[4800:9600])
            with suppress(ConnectionClosed):  # if the server was faster
                if then:
                    first.send(json.dumps({"type": then}))
            assert wait_for(first, "refused")["code"] == "taken_over"
            assert list(messages(first)) == []
            assert first.close_code == 4409
            second.send(json.dumps({"type": "end"}))
            wait_for(second, "complete")


@pytest.mark.parametrize(
    ("parameters", "status", "code"),
    [
        ({"session": UNKNOWN}, 404, "not_found"),
        ({"session": "x"}, 404, "not_found"),
        ({"language": "klingon"}, 422, "unknown_language"),
        ({"sample_rate": "1"}, 422, "invalid_parameters"),
        ({"encoding": "opus"}, 422, "invalid_parameters"),
        ({"titel": "x"}, 422, "invalid_parameters"),
        ({"title": "a\0b"}, 422, "invalid_parameters"),
        ({"keywords": "a\0b"}, 422, "invalid_parameters"),
    ],
)
def test_refused_handshakes_say_why(
    stack: Stack, token: str, parameters: dict[str, str], status: int, code: str
) -> None:
    assert refusal(stack, token, **parameters) == (status, code)


def refusal(stack: Stack, token: str = "", **parameters: str) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as refused, open_live(stack, token, **parameters):
        pass
    response = refused.value.response
    body = json.loads(response.body or b"{}")
    assert body["detail"]
    return response.status_code, body["code"]


@pytest.mark.covers("attack", "A live session is opened without a valid token")
def test_wrong_tokens_are_refused(stack: Stack) -> None:
    assert refusal(stack) == (401, "not_authenticated")
    assert refusal(stack, "tk_wrong") == (401, "invalid_token")


@pytest.mark.covers("attack", "A live session is opened with a token that may only read")
def test_tokens_without_the_scope_to_write_are_refused(stack: Stack, token: str) -> None:
    secret = stack.limited_token("speaker@example.com", "transcriptions:read")
    assert refusal(stack, secret) == (403, "insufficient_scope")
    assert refusal(stack, secret, session=UNKNOWN) == (403, "insufficient_scope")


@pytest.mark.covers("attack", "A live session is opened with a token that has expired")
def test_expired_tokens_are_refused(stack: Stack) -> None:
    secret = stack.token("expired-live@example.com")
    expire(stack, secret)
    assert refusal(stack, secret) == (401, "invalid_token")


@pytest.mark.covers("attack", "The token of a live session expires or is revoked while it is open")
def test_session_is_closed_when_its_token_is_no_longer_valid(stack: Stack, speech: bytes) -> None:
    secret = stack.token("revoked-live@example.com")
    with open_live(stack, secret) as socket:
        wait_for(socket, "session")
        socket.send(speech[:4800])
        wait_for(socket, "received")
        user_id = expire(stack, secret)
        with redis.Redis.from_url(redis_url(stack.var)) as valkey:
            # Sent when access changes; without it, the next check comes within 90 s. The first one
            # may come only now.
            access = access_channel(user_id), '{"type": "access"}'
            wait_until(lambda: valkey.publish(*access) or socket.close_code)
        list(messages(socket))
        assert socket.close_code == 4401


def expire(stack: Stack, secret: str) -> int:
    """Let a token expire. Return the id of its user."""
    update = "UPDATE accounts_apitoken SET expires_at = now() WHERE hint = %s RETURNING user_id"
    with psycopg.connect(postgres_url(stack.var)) as connection:
        (user_id,) = connection.execute(update, [secret[:8]]).fetchone() or (0,)
    return int(user_id)


@pytest.mark.covers("attack", "Another user sends audio to a live session, or ends it")
def test_sessions_of_other_users_are_not_found(stack: Stack, token: str) -> None:
    stranger = stack.token("stranger-live@example.com")
    with open_live(stack, token) as socket:
        session = wait_for(socket, "session")["session"]
        assert refusal(stack, stranger, session=session) == (404, "not_found")
        socket.send(json.dumps({"type": "end"}))
        wait_for(socket, "error", code="deleted")  # no audio came


@pytest.mark.covers(
    "attack", "Speech that was recorded offline is sent by the next user of the browser"
)
def test_audio_of_another_account_is_refused(stack: Stack, token: str) -> None:
    assert refusal(stack, token, account="0") == (403, "other_account")


@pytest.mark.covers("attack", "A page of another site opens a live session with a visitor's cookie")
def test_cookies_count_only_from_pages_of_the_site(stack: Stack) -> None:
    browser = httpx.Client(base_url=stack.url, follow_redirects=True)
    page = browser.get("/accounts/signup/").text
    secret = page.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
    form = {"csrfmiddlewaretoken": secret, "email": "cookie-live@example.com"}
    form |= {"password1": "correct horse battery", "password2": "correct horse battery"}
    browser.post("/accounts/signup/", data=form).raise_for_status()
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    url = f"{stack.url.replace('http', 'ws', 1)}/api/live"
    with connect(url, additional_headers={"Cookie": cookies}, origin=Origin(stack.url)) as socket:
        wait_for(socket, "session")
        socket.send(json.dumps({"type": "end"}))
    evil = Origin("https://evil.example")
    with pytest.raises(InvalidStatus) as refused:
        connect(url, additional_headers={"Cookie": cookies}, origin=evil)
    assert refused.value.response.status_code == 401


def test_pages_of_other_sites_send_the_token_as_a_subprotocol(stack: Stack, token: str) -> None:
    url = f"{stack.url.replace('http', 'ws', 1)}/api/live"
    offered = [Subprotocol("transcodio"), Subprotocol(f"transcodio-token.{token}")]
    with connect(url, subprotocols=offered, origin=Origin("https://other.example")) as socket:
        assert socket.subprotocol == "transcodio"
        wait_for(socket, "session")
        socket.send(json.dumps({"type": "end"}))


def test_browsers_are_told_why_they_are_refused(stack: Stack, token: str) -> None:
    url = f"{stack.url.replace('http', 'ws', 1)}/api/live"
    reader = stack.limited_token("speaker@example.com", "transcriptions:read")
    unknown = f"?session={UNKNOWN}"
    for secret, query, status in (("tk_wrong", "", 401), (reader, "", 403), (token, unknown, 404)):
        offered = [Subprotocol("transcodio"), Subprotocol(f"transcodio-token.{secret}")]
        with connect(url + query, subprotocols=offered) as socket:
            assert wait_for(socket, "refused")["detail"]
            assert list(messages(socket)) == []
            assert socket.close_code == 4000 + status


def test_bad_messages_are_explained(stack: Stack, token: str) -> None:
    for text in ("", "[]", "{", '{"type": "stop"}'):
        with open_live(stack, token) as socket:
            wait_for(socket, "session")
            socket.send(text)
            assert wait_for(socket, "refused")["code"] == "bad_message"
            assert list(messages(socket)) == []
            assert socket.close_code == 4400
