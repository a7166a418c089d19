"""Client secrets of the Realtime API, with the official client and a running stack."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from openai import OpenAI
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from transcodio_site.logs import redact
from transcodio_site.testing import WAIT_S, Stack
from transcodio_site.tests.test_realtime import refusal, settings, url_of


@pytest.fixture(scope="module")
def key(stack: Stack) -> str:
    return stack.token("client-secrets@example.com")


@pytest.fixture
def client(stack: Stack, key: str) -> OpenAI:
    return OpenAI(base_url=f"{stack.url}/v1", api_key=key)


def test_page_connects_with_a_client_secret(stack: Stack, client: OpenAI) -> None:
    secret = client.realtime.client_secrets.create(
        expires_after={"anchor": "created_at", "seconds": 60},
        session=settings(turn_detection=None),
    )
    assert secret.value.startswith("ek_")
    assert secret.session.type == "transcription"
    offered = [Subprotocol("realtime"), Subprotocol(f"openai-insecure-api-key.{secret.value}")]
    other = Origin("https://other.example")
    with connect(url_of(stack, ""), subprotocols=offered, origin=other) as socket:
        assert socket.subprotocol == "realtime"
        created = json.loads(socket.recv(WAIT_S))
        assert created["session"]["audio"]["input"]["turn_detection"] is None
        assert created["session"]["audio"]["input"]["transcription"]["language"] == "en"


@pytest.mark.covers("attack", "A client secret is used for anything but a live session")
def test_client_secret_opens_nothing_else(stack: Stack, client: OpenAI) -> None:
    secret = client.realtime.client_secrets.create().value
    headers = {"Authorization": f"Bearer {secret}"}
    for path in ("/v1/models", "/api/transcriptions"):
        assert httpx.get(f"{stack.url}{path}", headers=headers).status_code == 401
    more = httpx.post(f"{stack.url}/v1/realtime/client_secrets", headers=headers, json={})
    assert more.status_code == 401
    assert refusal(stack, secret[:-1] + ("a" if secret[-1] != "a" else "b"))[0] == 401


@pytest.mark.parametrize(
    "body", [{"expires_after": {"seconds": 9}}, {"session": {"type": "realtime"}}, {"session": 1}]
)
def test_impossible_client_secrets_are_refused(
    stack: Stack, key: str, body: dict[str, Any]
) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    answer = httpx.post(f"{stack.url}/v1/realtime/client_secrets", headers=headers, json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_client_secret_opens_our_own_websocket_as_well(stack: Stack, client: OpenAI) -> None:
    secret = client.realtime.client_secrets.create().value
    offered = [Subprotocol("transcodio"), Subprotocol(f"transcodio-token.{secret}")]
    with connect(url_of(stack, "").replace("v1/realtime", "api/live"), subprotocols=offered) as ws:
        assert json.loads(ws.recv(WAIT_S))["type"] == "session"
        ws.send('{"type": "end"}')


@pytest.mark.covers("attack", "The log is searched for client secrets")
def test_client_secret_is_redacted(client: OpenAI) -> None:
    secret = client.realtime.client_secrets.create().value
    assert redact(f"openai-insecure-api-key.{secret}") == "openai-insecure-api-key.ek_[redacted]"
