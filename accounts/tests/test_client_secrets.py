"""Client secrets: whose they are, and when they expire."""

from __future__ import annotations

import pytest
from django.core.signing import TimestampSigner

from accounts.client_secrets import find_client_secret, issue_client_secret
from accounts.models import User
from accounts.tokens import find_token, issue_token, revoke_token

SETTINGS = {"audio": {"input": {"turn_detection": None}}}


def test_client_secret_has_its_token_and_its_settings(alice: User) -> None:
    token, _ = issue_token(alice)
    value, expires_at = issue_client_secret(token, SETTINGS, 60)
    found = find_client_secret(value)
    assert found
    assert (found.token, found.settings) == (token, SETTINGS)
    assert find_token(value) is None
    later, _ = issue_client_secret(token, SETTINGS, 120)
    assert later != value
    assert expires_at > 60


@pytest.mark.covers("attack", "A client secret is forged, or used after it has expired")
def test_invalid_client_secrets_are_not_found(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    token, _ = issue_token(alice)
    value, expires_at = issue_client_secret(token, {}, 60)
    content = [token.pk, expires_at, {}]
    other_use = TimestampSigner(sep=".", salt="something else").sign_object(content)
    for forged in ("ek_", value[:-1], value + "x", value.replace("ek_", "ek_x"), other_use):
        assert find_client_secret(forged) is None
    with monkeypatch.context() as later:
        later.setattr("accounts.client_secrets.time.time", lambda: expires_at)
        assert find_client_secret(value) is None
    assert find_client_secret(value)
    revoke_token(token, None)  # type: ignore[arg-type]  # nobody's request
    assert find_client_secret(value) is None
