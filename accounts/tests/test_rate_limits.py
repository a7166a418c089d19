"""Rate limits by token and by user, in both APIs."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.test import Client

from accounts import rate_limits
from accounts.models import ApiToken, User
from accounts.tokens import issue_token


@pytest.fixture
def low_limits(settings: Any) -> None:
    """Three requests per token and five per user."""
    settings.RATE_LIMIT_PER_TOKEN = "3/hour"
    settings.RATE_LIMIT_PER_USER = "5/hour"


@pytest.fixture
def user(db: None) -> User:
    # A unique id: the counters in Valkey outlive the database of a test.
    return User.objects.create_user(f"{uuid.uuid4()}@example.com", "x", id=uuid.uuid4().int % 2**40)


def client_of(user: User) -> Client:
    row, secret = issue_token(user)
    ApiToken.objects.filter(pk=row.pk).update(id=uuid.uuid4().int % 2**40)
    return Client(headers={"Authorization": f"Bearer {secret}"})


def test_responses_have_rate_limit_headers(low_limits: None, user: User) -> None:
    client = client_of(user)
    for remaining in (2, 1, 0):
        response = client.get("/api/transcriptions")
        assert response.status_code == 200
        assert response["RateLimit-Limit"] == "3"
        assert response["RateLimit-Remaining"] == str(remaining)
        assert 0 < int(response["RateLimit-Reset"]) <= 3600
        assert response["RateLimit-Policy"] == "3;w=3600"


@pytest.mark.covers("attack", "A token sends more requests than allowed")
@pytest.mark.parametrize("path", ["/api/transcriptions", "/v1/models"])
def test_request_over_the_limit_is_429_in_the_format_of_the_api(
    low_limits: None, user: User, path: str
) -> None:
    client = client_of(user)
    for _ in range(3):
        assert client.get(path).status_code == 200
    response = client.get(path)
    assert response.status_code == 429
    assert response["Retry-After"] == response["RateLimit-Reset"]
    assert response["RateLimit-Remaining"] == "0"
    body = response.json()
    error = body if path.startswith("/api") else body["error"]
    assert error["code"] == "rate_limited"
    assert "3 per 1 hour" in (error.get("detail") or error["message"])


def test_tokens_and_session_share_the_limit_of_the_user(low_limits: None, user: User) -> None:
    first, second, page = client_of(user), client_of(user), Client()
    page.force_login(user)
    for client in (first, first, second, second, page):
        assert client.get("/api/transcriptions").status_code == 200
    for client in (second, page):
        response = client.get("/api/transcriptions")
        assert (response.status_code, response["RateLimit-Limit"]) == (429, "5")


def test_refused_requests_of_a_token_do_not_count_for_the_user(
    low_limits: None, user: User
) -> None:
    busy, other, page = client_of(user), client_of(user), Client()
    page.force_login(user)
    for _ in range(9):
        busy.get("/api/transcriptions")
    for client in (other, page):
        assert client.get("/api/transcriptions").status_code == 200


def test_limits_of_users_are_separate(low_limits: None, user: User, bob: User) -> None:
    client = client_of(user)
    for _ in range(4):
        client.get("/api/transcriptions")
    assert client_of(bob).get("/api/transcriptions").status_code == 200


@pytest.mark.covers("fault", "Valkey is down while requests are counted")
def test_requests_pass_while_valkey_is_unavailable(
    low_limits: None, user: User, settings: Any, caplog: Any
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    client = client_of(user)
    for _ in range(4):
        response = client.get("/api/transcriptions")
        assert response.status_code == 200
        assert "RateLimit-Limit" not in response.headers
    assert "requests are not counted" in caplog.text
    rate_limits._limiter.cache_clear()
