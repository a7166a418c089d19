"""Creating, listing and revoking tokens: on the settings page, and over REST with the session."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.test import Client

from accounts.models import ApiToken, Scope, User
from accounts.tokens import find_token, issue_token

PAGE = "/settings/tokens/"
FORM = {"name": "Laptop", "scopes": ["transcriptions:read"], "expiry": "30"}


@pytest.fixture
def browser(alice: User, client: Client) -> Client:
    client.force_login(alice)
    return client


def post(client: Client, body: dict[str, Any]) -> Any:
    return client.post("/api/tokens", json.dumps(body), content_type="application/json")


@pytest.mark.parametrize("name", ["", "  ", "a\x00\x00", "\u200b", "\u3164", "x" * 101])
def test_token_name_must_be_visible(alice: User, client: Client, name: str) -> None:
    client.force_login(alice)
    body = json.dumps({"name": name})
    response = client.post("/api/tokens", body, content_type="application/json")
    is_valid = name.startswith("a")
    assert response.status_code == (201 if is_valid else 422)
    assert [token.name for token in ApiToken.objects.all()] == (["a"] if is_valid else [])


def test_secret_is_shown_once_on_the_page(alice: User, browser: Client) -> None:
    response = browser.post(PAGE, FORM, follow=True)
    (secret,) = re.findall(r"tk_[\w-]{40,}", response.content.decode())
    row = find_token(secret)
    assert row is not None
    assert (row.user, row.name, row.scopes) == (alice, "Laptop", ["transcriptions:read"])
    assert row.expires_at is not None
    assert (row.expires_at - row.created_at).days in (29, 30)
    assert "no-store" in response["Cache-Control"]
    assert response.redirect_chain == [(PAGE, 302)]
    second_page = browser.get(PAGE).content.decode()
    assert secret not in second_page
    assert "Laptop" in second_page
    assert ApiToken.objects.count() == 1


@pytest.mark.covers("attack", "The cookie with a new API token is kept and sent by another user")
def test_secret_is_only_shown_to_its_user(bob: User, browser: Client) -> None:
    browser.post(PAGE, FORM)
    cookie = browser.cookies["new_token"]
    assert (cookie["path"], cookie["httponly"], cookie["samesite"]) == (PAGE, True, "Strict")
    other = Client()
    other.force_login(bob)
    other.cookies["new_token"] = cookie.value
    assert "Your new token" not in other.get(PAGE).content.decode()
    other.cookies["new_token"] = "tk_invented"
    assert "Your new token" not in other.get(PAGE).content.decode()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "required"),
        ({"name": "\u200b"}, "visible character"),
        ({"scopes": []}, "at least one"),
        ({"expiry": "7"}, ""),
    ],
)
def test_invalid_form_creates_no_token(
    browser: Client, changes: dict[str, Any], message: str
) -> None:
    response = browser.post(PAGE, FORM | changes)
    assert response.status_code == 400
    assert message in response.content.decode()
    assert not ApiToken.objects.exists()


def test_revoked_token_stops_working_immediately(alice: User, browser: Client) -> None:
    row, secret = issue_token(alice, "Old")
    question = browser.get(f"{PAGE}{row.id}/revoke/").content.decode()
    assert "Revoke “Old”?" in question
    assert f'action="{PAGE}{row.id}/revoke/"' in question
    assert find_token(secret) == row
    response = browser.post(f"{PAGE}{row.id}/revoke/", follow=True)
    assert "Token “Old” revoked." in response.content.decode()
    assert find_token(secret) is None


@pytest.mark.covers("attack", "A token of another user is revoked")
def test_tokens_of_other_users_are_404(bob: User, browser: Client) -> None:
    row, secret = issue_token(bob, "Private")
    assert "Private" not in browser.get(PAGE).content.decode()
    assert browser.get("/api/tokens").json() == []
    assert browser.get(f"{PAGE}{row.id}/revoke/").status_code == 404
    assert browser.post(f"{PAGE}{row.id}/revoke/").status_code == 404
    assert browser.delete(f"/api/tokens/{row.id}").status_code == 404
    assert find_token(secret) == row


def test_visitors_must_sign_in(client: Client, db: None) -> None:
    assert client.get(PAGE).headers["Location"].startswith("/accounts/login/")
    assert client.get("/api/tokens").status_code == 401


@pytest.mark.covers("attack", "A stolen token creates another token")
def test_token_cannot_manage_tokens(alice: User, client: Client) -> None:
    header = {"Authorization": f"Bearer {issue_token(alice)[1]}"}
    assert client.get("/api/tokens", headers=header).status_code == 403
    response = client.post("/api/tokens", "{}", content_type="application/json", headers=header)
    assert (response.status_code, response.json()["code"]) == (403, "session_only")
    assert "on the page API tokens" in response.json()["detail"]
    assert ApiToken.objects.count() == 1


def test_rest_creates_lists_and_revokes_tokens(browser: Client) -> None:
    response = post(browser, {"name": "ci", "expires_in_days": 7})
    assert response.status_code == 201
    body = response.json()
    secret = body.pop("token")
    assert find_token(secret) is not None
    assert body["scopes"] == sorted(Scope.values)
    assert body["last_used_at"] is None
    assert browser.get("/api/tokens").json() == [body]
    assert browser.delete(f"/api/tokens/{body['id']}").status_code == 204
    assert find_token(secret) is None


@pytest.mark.parametrize(
    "body",
    [{}, {"name": ""}, {"name": "x", "scopes": ["everything"]}, {"name": "x", "scopes": []}],
)
def test_invalid_body_is_422(browser: Client, body: dict[str, Any]) -> None:
    response = post(browser, body)
    assert response.status_code == 422
    assert set(response.json()) == {"detail", "code"}
    assert not ApiToken.objects.exists()


@pytest.mark.covers("attack", "A page of another site submits a form")
def test_csrf_token_is_required(alice: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice)
    assert strict.post(PAGE, FORM).status_code == 403
    assert post(strict, {"name": "x"}).status_code == 403
    assert not ApiToken.objects.exists()
