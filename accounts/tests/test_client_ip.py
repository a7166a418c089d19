"""The client's IP address behind proxies."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from accounts.tokens import issue_token


@pytest.mark.covers("attack", "The client's address is forged by X-Forwarded-For")
@pytest.mark.parametrize(
    ("proxies", "forwarded_for", "address"),
    [
        (0, "203.0.113.9", "192.0.2.7"),  # clients can send this header
        (1, "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        (2, "198.51.100.1, 203.0.113.9, 10.0.0.1", "203.0.113.9"),
        (1, "[2001:db8::1]:443", "2001:db8::1"),
        (1, "::ffff:203.0.113.9", "203.0.113.9"),
        (1, "", "192.0.2.7"),
        (1, "not an address", None),
        (2, "203.0.113.9", "192.0.2.7"),  # fewer proxies than trusted
    ],
)
def test_client_ip_is_what_the_trusted_proxies_report(
    alice: User, settings: Any, proxies: int, forwarded_for: str, address: str | None
) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = proxies
    token, secret = issue_token(alice, "Server")
    headers = {"Authorization": f"Bearer {secret}"}
    if forwarded_for:
        headers["X-Forwarded-For"] = forwarded_for
    Client(headers=headers, REMOTE_ADDR="192.0.2.7").get("/api/transcriptions")
    token.refresh_from_db()
    assert token.last_used_address == address


@pytest.mark.covers("fault", "TRUSTED_PROXY_COUNT is higher than the number of proxies")
def test_sign_in_works_behind_fewer_proxies_than_trusted(
    alice: User, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 3
    form = {"login": alice.email, "password": "correct horse battery"}
    for headers in ({}, {"X-Forwarded-For": "203.0.113.9"}):
        response = Client(headers=headers).post("/accounts/login/", form)
        assert response.status_code == 302
    assert "TRUSTED_PROXY_COUNT=3, but a request came through fewer proxies" in caplog.text
    no_address = Client(REMOTE_ADDR="").post("/accounts/login/", form)  # a Unix socket
    assert no_address.status_code == 403
