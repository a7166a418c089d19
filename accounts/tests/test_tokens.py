"""API tokens: storage, validity, last use and scopes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import ApiToken, User
from accounts.tokens import find_token, issue_token


@pytest.mark.covers("attack", "The table of tokens is read")
def test_only_the_hash_is_stored(alice: User) -> None:
    row, secret = issue_token(alice, "laptop")
    assert secret.startswith("tk_")
    stored = ApiToken.objects.values().get(id=row.id)
    assert secret not in map(str, stored.values())
    assert find_token(secret) == row


def test_unknown_token_is_not_found(alice: User) -> None:
    _, secret = issue_token(alice)
    assert find_token(secret[:-1]) is None
    assert find_token("") is None


def test_token_of_an_inactive_user_is_not_found(alice: User) -> None:
    _, secret = issue_token(alice)
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert find_token(secret) is None


def test_expired_token_is_not_found(alice: User) -> None:
    row, secret = issue_token(alice, days=1)
    assert find_token(secret) == row
    ApiToken.objects.update(expires_at=timezone.now())
    assert find_token(secret) is None


def test_last_use_is_recorded_but_not_on_every_request(
    alice: User, client: Client, django_assert_num_queries: Any
) -> None:
    row, secret = issue_token(alice)
    header = {"Authorization": f"Bearer {secret}"}
    assert client.get("/api/transcriptions", headers=header).status_code == 200
    row.refresh_from_db()
    assert row.last_used_at is not None
    assert row.last_used_address == "127.0.0.1"
    with django_assert_num_queries(2):  # reads of the token and the list, and no writes
        client.get("/api/transcriptions", headers=header)


@pytest.mark.covers("attack", "A token is used from changing addresses, to cause writes")
def test_token_that_alternates_between_addresses_writes_once_a_minute(
    alice: User, client: Client
) -> None:
    row, secret = issue_token(alice)
    header = {"Authorization": f"Bearer {secret}"}
    addresses = ["192.0.2.7", "192.0.2.8"]

    def writes() -> int:
        with CaptureQueriesContext(connection) as queries:
            for address in addresses * 3:
                response = client.get("/api/usage", headers=header, REMOTE_ADDR=address)
                assert response.status_code == 200
        return sum(not query["sql"].startswith("SELECT") for query in queries)

    assert writes() == 3  # the first use, and each address once
    assert row.user.audit.filter(action="token_new_address").count() == 2
    assert writes() == 0
    ApiToken.objects.update(last_used_at=timezone.now() - timedelta(minutes=2))
    assert writes() == 1
    row.refresh_from_db()
    assert row.last_used_address == "192.0.2.7"


@pytest.mark.covers("attack", "A token is used beyond its scopes")
@pytest.mark.parametrize(
    ("scopes", "reading", "writing"),
    [
        (["transcriptions:read"], 200, 403),
        (["transcriptions:write"], 403, 422),
        (["transcriptions:read", "transcriptions:write"], 200, 422),
        (["usage:read"], 403, 403),
    ],
)
def test_scopes_limit_what_a_token_can_do(
    alice: User, client: Client, scopes: list[str], reading: int, writing: int
) -> None:
    header = {"Authorization": f"Bearer {issue_token(alice, scopes=scopes)[1]}"}
    assert client.get("/api/transcriptions", headers=header).status_code == reading
    response = client.post("/api/transcriptions", headers=header)  # without a file
    assert response.status_code == writing
    if writing == 403:
        assert response.json()["code"] == "insufficient_scope"
        assert "transcriptions:write" in response.json()["detail"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Authorization", "Bearer {}"),
        ("Authorization", "bearer  {}"),
        ("Authorization", "Token {}"),
        ("X-API-Key", "{}"),
    ],
)
def test_token_is_accepted_in_every_usual_header(alice: User, name: str, value: str) -> None:
    client = Client(headers={name: value.format(issue_token(alice)[1])})
    for path in ("/api/transcriptions", "/v1/models"):
        assert client.get(path).status_code == 200
    assert client.get("/api/tokens").json()["code"] == "session_only"


def test_proxy_may_use_the_authorization_header_itself(alice: User) -> None:
    headers = {"Authorization": "Basic eA==", "X-API-Key": issue_token(alice)[1]}
    assert Client(headers=headers).get("/v1/models").status_code == 200


@pytest.mark.covers(
    "attack", "A request with a wrong key in X-API-Key relies on the browser's session"
)
def test_wrong_key_is_401_despite_session(alice: User) -> None:
    client = Client(headers={"X-API-Key": "tk_wrong"})
    client.force_login(alice)
    assert client.get("/api/transcriptions").status_code == 401
