"""Guessing passwords, codes and tokens is bounded, and locks nobody else out."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.utils import encrypt
from django.core import mail
from django.test import Client

from accounts.models import User
from accounts.tests.helpers import sign_in, totp_code
from accounts.tests.test_sign_in import path_in
from accounts.tokens import issue_token

SECRET = "J" * 32
TOO_MANY = "Too many failed"


def browser_at(address: str) -> Client:
    return Client(REMOTE_ADDR=address)


def guess(email: str, address: str, count: int = 1) -> str:
    """Enter wrong passwords; return the last page."""
    for number in range(count):
        page = sign_in(browser_at(address), email, f"wrong {number}")
    return str(page.content.decode())


def is_signed_in(client: Client) -> bool:
    return client.get("/settings/tokens/").status_code == 200


def can_sign_in(email: str, address: str) -> bool:
    browser = browser_at(address)
    sign_in(browser, email)
    return is_signed_in(browser)


@pytest.mark.covers("attack", "Wrong passwords from one address, to lock the owner out")
def test_wrong_passwords_from_one_address_lock_nobody_out_elsewhere(alice: User) -> None:
    assert TOO_MANY not in guess(alice.email, "192.0.2.66", 5)
    assert TOO_MANY in guess(alice.email, "192.0.2.66")
    assert not can_sign_in(alice.email, "192.0.2.66")
    assert can_sign_in(alice.email, "192.0.2.7")
    assert not can_sign_in(alice.email, "192.0.2.66")  # that was not the attacker's success


def test_ipv6_addresses_of_one_network_count_together(alice: User) -> None:
    for number in range(5):
        guess(alice.email, f"2001:db8:1:2::{number}")
    assert TOO_MANY in guess(alice.email, "2001:db8:1:2::9")
    assert can_sign_in(alice.email, "2001:db8:1:3::9")


@pytest.mark.covers("attack", "Passwords of many accounts are guessed from one address")
def test_failures_of_an_address_count_for_all_accounts(alice: User) -> None:
    for _ in range(10):
        guess(f"{uuid.uuid4()}@example.com", "192.0.2.66")
    assert not can_sign_in(alice.email, "192.0.2.66")
    assert can_sign_in(alice.email, "192.0.2.7")


@pytest.mark.covers("attack", "The password of one account is guessed from many addresses")
def test_guessing_from_many_addresses_leaves_each_one_attempt(alice: User) -> None:
    for number in range(21):
        assert TOO_MANY not in guess(alice.email, f"192.0.2.{number}")
    assert TOO_MANY not in guess(alice.email, "198.51.100.1")
    assert TOO_MANY in guess(alice.email, "198.51.100.1")
    assert can_sign_in(alice.email, "198.51.100.2")
    assert can_sign_in(alice.email, "198.51.100.2")  # a success uses up nothing
    assert [message.to for message in mail.outbox] == [[alice.email]]
    assert "many wrong passwords" in str(mail.outbox[0].body)


def test_guessing_at_an_unknown_address_looks_the_same(db: None) -> None:
    for number in range(22):
        guess("nobody@example.com", f"192.0.2.{number}")
    assert TOO_MANY in guess("nobody@example.com", "192.0.2.21")
    assert mail.outbox == []


@pytest.fixture
def with_code(alice: User) -> User:
    """Alice, with a second factor."""
    kind = Authenticator.Type.TOTP
    Authenticator.objects.create(user=alice, type=kind, data={"secret": encrypt(SECRET)})
    return alice


@pytest.mark.covers("attack", "Codes of two-factor authentication are guessed from many addresses")
def test_wrong_codes_are_bounded_for_all_addresses_and_the_owner_is_warned(with_code: User) -> None:
    for number in range(6):
        browser = browser_at(f"192.0.2.{number}")
        sign_in(browser, with_code.email)
        browser.post("/accounts/2fa/authenticate/", {"code": "000000"})
    page = browser.post("/accounts/2fa/authenticate/", {"code": totp_code(SECRET)})
    assert TOO_MANY in page.content.decode()
    assert not is_signed_in(browser)
    guess(with_code.email, "192.0.2.66")
    (message,) = mail.outbox
    assert (message.to, "wrong two-factor" in str(message.body)) == ([with_code.email], True)


def test_password_reset_ends_the_limit_of_codes(with_code: User, client: Client) -> None:
    for number in range(6):
        browser = browser_at(f"192.0.2.{number}")
        sign_in(browser, with_code.email)
        browser.post("/accounts/2fa/authenticate/", {"code": "000000"})
    mail.outbox.clear()
    client.post("/accounts/password/reset/", {"email": with_code.email})
    link = path_in(mail.outbox[0], "password/reset/key")
    form, new = client.get(link, follow=True).redirect_chain[-1][0], "staple battery horse"
    client.post(form, {"password1": new, "password2": new})
    owner = browser_at("192.0.2.7")
    sign_in(owner, with_code.email, new)
    owner.post("/accounts/2fa/authenticate/", {"code": totp_code(SECRET)})
    assert is_signed_in(owner)


@pytest.mark.covers("attack", "API tokens are guessed")
def test_wrong_tokens_of_an_address_are_limited_but_valid_ones_work(
    alice: User, settings: Any
) -> None:
    settings.RATE_LIMIT_WRONG_TOKENS = "3/hour"
    address = f"2001:db8::{uuid.uuid4().hex[:4]}"  # the counters outlive the test
    wrong = Client(REMOTE_ADDR=address, headers={"Authorization": "Bearer tk_wrong"})
    for path in ("/api/transcriptions", "/v1/models", "/api/tokens"):
        assert wrong.get(path).status_code == 401
    response = wrong.get("/api/transcriptions")
    assert (response.status_code, response.json()["code"]) == (429, "rate_limited")
    assert int(response["Retry-After"]) > 0
    right = {"Authorization": f"Bearer {issue_token(alice)[1]}"}
    assert Client(REMOTE_ADDR=address, headers=right).get("/api/transcriptions").status_code == 200
