"""The allauth adapter: sign-up policy, links in emails, and client IP addresses."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.test import Client

from accounts.models import User
from accounts.tests.helpers import PASSWORD, sign_in


def test_closed_signup_is_refused_and_not_offered(db: None, client: Client, settings: Any) -> None:
    assert "/accounts/signup/" in client.get("/").content.decode()
    settings.SIGNUP = "closed"
    assert "/accounts/signup/" not in client.get("/").content.decode()
    form = {"email": "new@example.com", "password1": PASSWORD, "password2": PASSWORD}
    response = client.post("/accounts/signup/", form)
    assert "closed" in response.content.decode().lower()
    assert not User.objects.exists()


@pytest.mark.covers("attack", "A password reset is requested with another Host header")
def test_links_in_emails_ignore_the_host_header(
    alice: User, client: Client, settings: Any, mailoutbox: Any
) -> None:
    settings.SITE_URL = "https://transcodio.example"
    for email in (alice.email, "nobody@example.com"):
        client.post("/accounts/password/reset/", {"email": email}, HTTP_HOST="localhost:6666")
    form = {"email": "dora@example.com", "password1": PASSWORD, "password2": PASSWORD}
    client.post("/accounts/signup/", form, HTTP_HOST="localhost:6666")
    assert [message.to for message in mailoutbox][::2] == [[alice.email], ["dora@example.com"]]
    for message in mailoutbox:
        for text in (message.body, message.alternatives[0][0]):
            assert "://transcodio.example/accounts/" in text
            assert "localhost" not in text


def test_missing_proxies_are_logged_and_sign_in_still_works(
    alice: User, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 2
    browser = Client(REMOTE_ADDR="198.51.100.7", headers={"X-Forwarded-For": "192.0.2.7"})
    sign_in(browser, alice.email)
    assert browser.get("/settings/tokens/").status_code == 200
    assert "TRUSTED_PROXY_COUNT=2" in caplog.text


@pytest.mark.covers("attack", "X-Forwarded-For is forged to get past sign-in limits")
@pytest.mark.parametrize(
    ("proxies", "prefix", "succeeds"), [(0, "", False), (1, "", True), (1, "::ffff:", True)]
)
def test_sign_in_limits_count_clients_behind_a_trusted_proxy(
    alice: User, settings: Any, proxies: int, prefix: str, succeeds: bool
) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = proxies
    proxy = f"198.51.100.{uuid.uuid4().int % 254 + 1}"  # the counters outlive the test
    attacker, client_ip = "192.0.2.66", "192.0.2.7"

    def through_proxy(forwarded_for: str) -> Client:
        return Client(REMOTE_ADDR=proxy, headers={"X-Forwarded-For": forwarded_for})

    for _ in range(11):
        sign_in(through_proxy(f"8.8.8.8, {prefix}{attacker}"), f"{uuid.uuid4()}@example.com", "x")
    browser = through_proxy(f"{prefix}{client_ip}")
    sign_in(browser, alice.email)
    assert (browser.get("/settings/tokens/").status_code == 200) == succeeds
    addresses = UserSession.objects.values_list("ip", flat=True)
    assert list(addresses) == ([client_ip] if succeeds else [])
