"""Who asks too often is told when to come back, in the shape that they read."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.test import Client

from accounts import rate_limits
from accounts.models import ApiToken, User
from accounts.tokens import issue_token


@pytest.fixture
def strict(settings: Any) -> None:
    """Few requests, in a window that no other test has counted in."""
    settings.RATE_LIMIT_PER_TOKEN = "3/hour"
    settings.RATE_LIMIT_PER_USER = "5/hour"


@pytest.fixture
def user(db: None) -> User:
    # A number of its own: the counters outlive the database of a test.
    return User.objects.create_user(f"{uuid.uuid4()}@example.com", "x", id=uuid.uuid4().int % 2**40)


def client_of(user: User) -> Client:
    row, secret = issue_token(user)
    ApiToken.objects.filter(pk=row.pk).update(id=uuid.uuid4().int % 2**40)
    return Client(headers={"Authorization": f"Bearer {secret}"})


def test_every_answer_says_what_is_left(strict: None, user: User) -> None:
    client = client_of(user)
    for left in (2, 1, 0):
        answer = client.get("/api/transcriptions")
        assert answer.status_code == 200
        assert answer["RateLimit-Limit"] == "3"
        assert answer["RateLimit-Remaining"] == str(left)
        assert 0 < int(answer["RateLimit-Reset"]) <= 3600
        assert answer["RateLimit-Policy"] == "3;w=3600"


@pytest.mark.parametrize("path", ["/api/transcriptions", "/v1/models"])
def test_what_is_too_much_is_refused_in_the_shape_of_the_caller(
    strict: None, user: User, path: str
) -> None:
    client = client_of(user)
    for _ in range(3):
        assert client.get(path).status_code == 200
    answer = client.get(path)
    assert answer.status_code == 429
    assert answer["Retry-After"] == answer["RateLimit-Reset"]
    assert answer["RateLimit-Remaining"] == "0"
    body = answer.json()
    error = body if path.startswith("/api") else body["error"]
    assert error["code"] == "rate_limited"
    assert "3 per 1 hour" in (error.get("detail") or error["message"])


def test_a_user_s_tokens_and_pages_are_counted_together(strict: None, user: User) -> None:
    first, second, page = client_of(user), client_of(user), Client()
    page.force_login(user)
    for client in (first, first, second, second, page):
        assert client.get("/api/transcriptions").status_code == 200
    for client in (second, page):
        answer = client.get("/api/transcriptions")
        assert (answer.status_code, answer["RateLimit-Limit"]) == (429, "5")


def test_a_token_that_is_refused_takes_nothing_from_the_others(strict: None, user: User) -> None:
    runaway, patient, page = client_of(user), client_of(user), Client()
    page.force_login(user)
    for _ in range(9):
        runaway.get("/api/transcriptions")
    for client in (patient, page):
        assert client.get("/api/transcriptions").status_code == 200


def test_others_are_not_slowed_down(strict: None, user: User, bob: User) -> None:
    client = client_of(user)
    for _ in range(4):
        client.get("/api/transcriptions")
    assert client_of(bob).get("/api/transcriptions").status_code == 200


def test_everybody_may_pass_while_valkey_is_away(
    strict: None, user: User, settings: Any, caplog: Any
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    client = client_of(user)
    for _ in range(4):
        answer = client.get("/api/transcriptions")
        assert answer.status_code == 200
        assert "RateLimit-Limit" not in answer.headers
    assert "requests are not counted" in caplog.text
    rate_limits._limiter.cache_clear()
