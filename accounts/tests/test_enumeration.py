"""Responses do not reveal which email addresses have an account."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.core import mail
from django.test import Client

from accounts.models import User
from accounts.tests.helpers import PASSWORD, sign_in

UNKNOWN = "nobody@example.com"
SIGN_UP = {"password1": "staple battery horse", "password2": "staple battery horse"}

Request = Callable[[Client, str], Any]


class CountingHasher(MD5PasswordHasher):
    """The hasher of the tests; `count` is the number of hashes, which take nearly all the time."""

    count = 0

    def encode(self, *args: Any, **options: Any) -> str:
        """See MD5PasswordHasher."""
        CountingHasher.count += 1
        return super().encode(*args, **options)


def sign_up(client: Client, email: str) -> Any:
    return client.post("/accounts/signup/", SIGN_UP | {"email": email})


def reset_password(client: Client, email: str) -> Any:
    return client.post("/accounts/password/reset/", {"email": email})


def fail_to_sign_in(client: Client, email: str) -> Any:
    return sign_in(client, email, "wrong")


def observe(request: Request, email: str) -> dict[str, Any]:
    """All that a visitor can observe of a request, and how much work it caused."""
    client, before = Client(), (CountingHasher.count, len(mail.outbox))
    response = request(client, email)
    pages = [response] if response.status_code == 200 else [client.get(response["Location"])]
    csrf = re.compile(r'name="csrfmiddlewaretoken" value="\w+"')
    return {
        "status": response.status_code,
        "location": response.headers.get("Location"),
        "cookies": sorted(client.cookies),
        "page": csrf.sub("", pages[0].content.decode()).replace(email, "EMAIL"),
        "hashes": CountingHasher.count - before[0],
        "emails": len(mail.outbox) - before[1],
    }


@pytest.mark.covers(
    "attack", "Sign-up, sign-in and password reset are used to find out who has an account"
)
@pytest.mark.parametrize("request_", [sign_up, reset_password, fail_to_sign_in])
@pytest.mark.parametrize("password", ["usable", "unusable"])
def test_known_and_unknown_addresses_look_the_same(
    alice: User, settings: Any, request_: Request, password: str
) -> None:
    settings.PASSWORD_HASHERS = [f"{__name__}.CountingHasher"]
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    alice.set_password(PASSWORD if password == "usable" else None)
    alice.save()
    known, unknown = observe(request_, alice.email), observe(request_, UNKNOWN)
    assert known == unknown
    assert known["hashes"] == (0 if request_ is reset_password else 1)
    assert known["emails"] == (0 if request_ is fail_to_sign_in else 1)


def test_existing_account_gets_an_email_instead_of_a_second_account(
    alice: User, settings: Any
) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    sign_up(Client(), alice.email)
    assert User.objects.get() == alice
    assert alice.check_password(PASSWORD)
    (message,) = mail.outbox
    assert message.to == [alice.email]
    assert "already has one" in str(message.body)


@pytest.mark.covers("attack", "Invalid sign-up forms are used to find out who has an account")
def test_incomplete_sign_up_does_not_tell_who_has_an_account(alice: User, client: Client) -> None:
    for mistake in ({"password2": "different"}, {"password1": "short", "password2": "short"}):
        pages = [
            client.post("/accounts/signup/", SIGN_UP | mistake | {"email": email})
            for email in (alice.email, UNKNOWN)
        ]
        known, unknown = (sorted(page.context["form"].errors) for page in pages)
        assert known == unknown
        assert "email" not in known


def test_without_a_mail_server_sign_up_says_that_an_account_exists(
    alice: User, client: Client
) -> None:
    page = sign_up(client, alice.email).content.decode()
    assert "already registered" in page
