"""Sessions: their keys, when they end, and the attributes of their cookies."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.test import Client

from accounts.models import User
from accounts.tests.helpers import PASSWORD, reauthenticate, sign_in
from accounts.tests.test_sign_in import path_in

NEW = "staple battery horse"


def is_signed_in(client: Client) -> bool:
    return client.get("/settings/tokens/").status_code == 200


@pytest.fixture
def planted() -> str:
    """The key of a session that an attacker has opened."""
    session = SessionStore()
    session["mine"] = "attacker"
    session.save()
    return str(session.session_key)


@pytest.mark.covers("attack", "A session key that the attacker knows is planted before sign-in")
def test_session_key_changes_at_sign_in(alice: User, planted: str) -> None:
    victim, attacker = Client(), Client()
    for client in (victim, attacker):
        client.cookies["sessionid"] = planted
    sign_in(victim, alice.email)
    assert is_signed_in(victim)
    assert victim.cookies["sessionid"].value != planted
    assert not is_signed_in(attacker)


@pytest.mark.covers("attack", "A session key that does not exist is planted")
def test_invented_session_key_is_not_used(alice: User) -> None:
    victim = Client()
    victim.cookies["sessionid"] = "a" * 32
    sign_in(victim, alice.email)
    assert is_signed_in(victim)
    assert not Session.objects.filter(session_key="a" * 32).exists()


def test_session_key_changes_when_another_user_signs_in(alice: User, bob: User) -> None:
    browser = Client()
    sign_in(browser, alice.email)
    session = browser.session
    session["of_alice"] = "secret"
    session.save()
    browser.post("/accounts/logout/")
    sign_in(browser, bob.email)
    assert browser.session.session_key != session.session_key
    assert "of_alice" not in browser.session
    assert not Session.objects.filter(session_key=session.session_key).exists()


@pytest.mark.covers("attack", "A stolen session is used after sign-out or a change of password")
@pytest.mark.parametrize("by", ["sign-out", "change", "reset"])
def test_stolen_session_ends(alice: User, mailoutbox: Any, by: str) -> None:
    owner, thief = Client(), Client()
    sign_in(owner, alice.email)
    thief.cookies["sessionid"] = owner.cookies["sessionid"].value
    other = Client()
    sign_in(other, alice.email)
    assert is_signed_in(thief)
    if by == "sign-out":
        owner.post("/accounts/logout/")
    elif by == "change":
        reauthenticate(owner)
        form = {"oldpassword": PASSWORD, "password1": NEW, "password2": NEW}
        owner.post("/accounts/password/change/", form)
    else:
        Client().post("/accounts/password/reset/", {"email": alice.email})
        link = path_in(mailoutbox[0], "password/reset/key")
        visitor = Client()
        form_path = visitor.get(link, follow=True).redirect_chain[-1][0]
        visitor.post(form_path, {"password1": NEW, "password2": NEW})
    assert not is_signed_in(thief)
    assert is_signed_in(other) == (by == "sign-out")
    assert is_signed_in(owner) == (by == "change")


@pytest.mark.parametrize("is_secure", [True, False])
def test_cookie_attributes(alice: User, settings: Any, is_secure: bool) -> None:
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = is_secure
    browser = Client()
    browser.get("/accounts/login/")
    sign_in(browser, alice.email)
    session, csrf = (browser.cookies[name] for name in ("sessionid", "csrftoken"))
    assert session["httponly"]
    for cookie in (session, csrf):
        assert (cookie["samesite"], bool(cookie["secure"])) == ("Lax", is_secure)
        assert cookie["domain"] == ""
