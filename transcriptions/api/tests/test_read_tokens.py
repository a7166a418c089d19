"""Read tokens: what they give access to, and what not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.signing import TimestampSigner
from django.test import Client

from accounts import read_tokens
from accounts.models import ApiToken, Scope, User
from accounts.tokens import issue_token
from transcodio_site.logs import redact
from transcriptions.models import Transcription
from transcriptions.testing import Headers


def read_token(client: Client, row: Transcription) -> str:
    response = client.post(f"/api/transcriptions/{row.id}/read-token")
    assert response.status_code == 201
    token: str = response.json()["token"]
    return token


def status(row: Transcription, token: str, path: str, method: str = "GET") -> int:
    """The status of a request with nothing but its URL."""
    url = f"/api/transcriptions/{row.id}{path}?token={token}"
    return int(Client().generic(method, url).status_code)


def test_read_token_opens_events_audio_and_export(api: Client, finished: Transcription) -> None:
    token = read_token(api, finished)
    for path in ("/events", "/audio", "/export"):
        assert status(finished, token, path) == 200
    assert status(finished, token, "/audio", "HEAD") == 200
    audio = Client().get(f"/api/transcriptions/{finished.id}/audio?token={token}")
    assert audio["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert audio["Referrer-Policy"] == "same-origin"
    assert "no-store" in audio["Cache-Control"]


@pytest.mark.covers("attack", "A read token is used to change a recording, or to read others")
def test_read_token_opens_nothing_else(api: Client, finished: Transcription) -> None:
    token = read_token(api, finished)
    assert status(finished, token, "") == 401
    for operation in ("DELETE ", "PATCH ", "POST /cancel", "POST /read-token"):
        method, path = operation.split(" ")
        assert status(finished, token, path, method) == 401
    assert Client().get(f"/api/transcriptions?token={token}").status_code == 401
    headers = {"Authorization": f"Bearer {token}"}
    assert Client(headers=headers).get("/api/transcriptions").status_code == 401


@pytest.mark.covers(
    "attack", "A read token is used for another recording, or created by a stranger"
)
def test_read_token_is_bound_to_its_recording(
    api: Client, finished: Transcription, alice: User, bob: User, token_of: Headers
) -> None:
    token = read_token(api, finished)
    other = Transcription.objects.create(owner=alice, source="none", source_bytes=1)
    of_bob = Transcription.objects.create(owner=bob, source="none", source_bytes=1)
    for row in (other, of_bob):
        assert status(row, token, "/events") == 401
    stranger = Client(headers=token_of(bob))
    assert stranger.post(f"/api/transcriptions/{finished.id}/read-token").status_code == 404
    forged = read_token(stranger, of_bob)
    assert status(finished, forged, "/audio") == 401


@pytest.mark.covers("attack", "A read token is forged, or used after it has expired")
def test_invalid_read_token_is_401(
    api: Client, finished: Transcription, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = read_token(api, finished)
    content = [ApiToken.objects.get().pk, str(finished.id)]
    other_use = TimestampSigner(sep=".", salt="something else").sign_object(content)
    for forged in ("x", "rt_", token[:-1], token + "x", token.replace("rt_", "rt_x"), other_use):
        assert status(finished, forged, "/events") == 401
    with monkeypatch.context() as later:
        later.setattr(read_tokens, "LIFETIME", timedelta(seconds=-1))
        assert status(finished, token, "/events") == 401
    assert status(finished, token, "/events") == 200
    ApiToken.objects.all().delete()
    assert status(finished, token, "/events") == 401


def test_read_token_needs_an_api_token_that_may_read(alice: User, finished: Transcription) -> None:
    url = f"/api/transcriptions/{finished.id}/read-token"
    write_only = issue_token(alice, scopes=[Scope.WRITE])[1]
    assert Client(headers={"X-API-Key": write_only}).post(url).status_code == 403
    session = Client()
    session.force_login(alice)
    assert session.post(url).status_code == 401


def test_read_token_comes_before_the_session_of_another_user(
    api: Client, finished: Transcription, bob: User
) -> None:
    client = Client()
    client.force_login(bob)
    url = f"/api/transcriptions/{finished.id}/export"
    assert client.get(f"{url}?token={read_token(api, finished)}").status_code == 200
    assert client.get(url).status_code == 404


@pytest.mark.covers("attack", "The log is searched for read tokens")
def test_read_token_is_not_logged(api: Client, finished: Transcription, caplog: Any) -> None:
    token = read_token(api, finished)
    assert redact(f"GET /audio?token={token} HTTP/1.1") == "GET /audio?token=rt_[redacted] HTTP/1.1"
    Client().get(f"/api/transcriptions/{finished.id}?token={token}")  # logged, as it is refused
    assert "Unauthorized" in caplog.text
    assert token not in caplog.text
