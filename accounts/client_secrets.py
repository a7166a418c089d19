"""Client secrets: short-lived, for pages and apps that open a WebSocket and must not know the API
token of the server that they belong to.

A client secret is signed, not stored. It contains the id of the API token that it was created with,
and the settings for recognizing the speech of its sessions.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from django.core.signing import BadSignature, TimestampSigner

from accounts.models import ApiToken
from accounts.tokens import find_token_by_id

PREFIX = "ek_"
MIN_LIFETIME_S, LIFETIME_S, MAX_LIFETIME_S = 10, 600, 7200
_signer = TimestampSigner(sep=".", salt="accounts.client_secrets")


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """The contents of a valid secret: the API token and the settings that it was created with."""

    token: ApiToken
    settings: dict[str, Any]


def issue_client_secret(
    token: ApiToken, settings: dict[str, Any], lifetime_s: int = LIFETIME_S
) -> tuple[str, int]:
    """A secret that opens sessions for `lifetime_s` seconds, and when it expires (seconds since the
    epoch)."""
    expires_at = int(time.time()) + lifetime_s
    value = _signer.sign_object([token.pk, expires_at, settings], compress=True)
    return f"{PREFIX}{value}", expires_at


def find_client_secret(value: str) -> ClientSecret | None:
    """None if the secret, or the API token that it was created with, is no longer valid."""
    try:
        token_id, expires_at, settings = _signer.unsign_object(
            value.removeprefix(PREFIX), max_age=MAX_LIFETIME_S
        )
    except (BadSignature, ValueError):
        return None
    token = find_token_by_id(token_id) if time.time() < expires_at else None
    return ClientSecret(token, settings) if token else None
