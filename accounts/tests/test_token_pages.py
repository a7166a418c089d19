"""Making, seeing and revoking tokens: on the settings page, and over REST with the session."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.test import Client

from accounts.models import ApiToken, Scope, User
from accounts.tokens import find_token, issue_token

PAGE = "/settings/tokens/"
NEW = {"name": "Laptop", "scopes": ["transcriptions:read"], "expiry": "30"}


@pytest.fixture
def browser(alice: User, client: Client) -> Client:
    client.force_login(alice)
    return client


def post(client: Client, body: dict[str, Any]) -> Any:
    return client.post("/api/tokens", json.dumps(body), content_type="application/json")


@pytest.mark.parametrize("name", ["", "  ", "a\x00\x00", "\u200b", "\u3164", "x" * 101])
def test_a_name_can_be_seen_and_stored(alice: User, client: Client, name: str) -> None:
    client.force_login(alice)
    body = json.dumps({"name": name})
    answer = client.post("/api/tokens", body, content_type="application/json")
    seen = name.startswith("a")
    assert answer.status_code == (201 if seen else 422)
    assert [token.name for token in ApiToken.objects.all()] == (["a"] if seen else [])


def test_a_token_is_made_on_the_page_and_shown_once(alice: User, browser: Client) -> None:
    answer = browser.post(PAGE, NEW)
    (secret,) = re.findall(r"tk_[\w-]{40,}", answer.content.decode())
    row = find_token(secret)
    assert row is not None
    assert (row.user, row.name, row.scopes) == (alice, "Laptop", ["transcriptions:read"])
    assert row.expires_at is not None
    assert (row.expires_at - row.created_at).days in (29, 30)
    assert "no-store" in answer["Cache-Control"]
    again = browser.get(PAGE).content.decode()
    assert secret not in again
    assert "Laptop" in again


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"name": ""}, "required"),
        ({"name": "\u200b"}, "can be seen"),
        ({"scopes": []}, "at least one"),
        ({"expiry": "7"}, ""),
    ],
)
def test_a_form_with_a_mistake_makes_no_token(
    browser: Client, wrong: dict[str, Any], words: str
) -> None:
    answer = browser.post(PAGE, NEW | wrong)
    assert answer.status_code == 400
    assert words in answer.content.decode()
    assert not ApiToken.objects.exists()


def test_a_revoked_token_is_dead_at_once(alice: User, browser: Client) -> None:
    row, secret = issue_token(alice, "Old")
    answer = browser.post(f"{PAGE}{row.id}/revoke/", follow=True)
    assert "does not work any more" in answer.content.decode()
    assert find_token(secret) is None


def test_nobody_reaches_the_tokens_of_another(bob: User, browser: Client) -> None:
    row, secret = issue_token(bob, "Hers alone")
    assert "Hers alone" not in browser.get(PAGE).content.decode()
    assert browser.get("/api/tokens").json() == []
    assert browser.post(f"{PAGE}{row.id}/revoke/").status_code == 404
    assert browser.delete(f"/api/tokens/{row.id}").status_code == 404
    assert find_token(secret) == row


def test_who_is_not_signed_in_is_asked_to(client: Client, db: None) -> None:
    assert client.get(PAGE).headers["Location"].startswith("/accounts/login/")
    assert client.get("/api/tokens").status_code == 401


def test_a_token_cannot_make_others(alice: User, client: Client) -> None:
    header = {"Authorization": f"Bearer {issue_token(alice)[1]}"}
    assert client.get("/api/tokens", headers=header).status_code == 403
    answer = client.post("/api/tokens", "{}", content_type="application/json", headers=header)
    assert (answer.status_code, answer.json()["code"]) == (403, "session_only")
    assert "on the settings page" in answer.json()["detail"]
    assert ApiToken.objects.count() == 1


def test_tokens_over_rest(browser: Client) -> None:
    made = post(browser, {"name": "ci", "expires_in_days": 7})
    assert made.status_code == 201
    body = made.json()
    secret = body.pop("token")
    assert find_token(secret) is not None
    assert body["scopes"] == sorted(Scope.values)
    assert body["last_used_at"] is None
    assert browser.get("/api/tokens").json() == [body]
    assert browser.delete(f"/api/tokens/{body['id']}").status_code == 204
    assert find_token(secret) is None


@pytest.mark.parametrize(
    "wrong",
    [{}, {"name": ""}, {"name": "x", "scopes": ["everything"]}, {"name": "x", "scopes": []}],
)
def test_a_wrong_request_is_refused(browser: Client, wrong: dict[str, Any]) -> None:
    answer = post(browser, wrong)
    assert answer.status_code == 422
    assert set(answer.json()) == {"detail", "code"}
    assert not ApiToken.objects.exists()


def test_a_page_of_another_site_cannot_make_one(alice: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice)
    assert strict.post(PAGE, NEW).status_code == 403
    assert post(strict, {"name": "x"}).status_code == 403
    assert not ApiToken.objects.exists()
