"""Read tokens: short-lived, for URLs that a browser fetches without our headers.

`EventSource`, `<audio>` and `<track>` cannot send an API token, and the API token itself must not
be part of a URL, which ends up in logs and histories. A read token is signed, not stored. It names
the API token that it was created with and one resource.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.core.signing import BadSignature, TimestampSigner
from django.utils import timezone

from accounts.models import ApiToken
from accounts.tokens import find_token_by_id

PREFIX = "rt_"
LIFETIME = timedelta(minutes=10)
_signer = TimestampSigner(sep=".", salt="accounts.read_tokens")


def issue_read_token(token: ApiToken, resource: str) -> tuple[str, datetime]:
    """A read token for `resource`, an id, and when it expires."""
    value = _signer.sign_object([token.pk, resource])
    return f"{PREFIX}{value}", timezone.now() + LIFETIME


def find_read_token(value: str, resource: str) -> ApiToken | None:
    """The API token that a read token was created with; None if either is no longer valid, or the
    read token is for another resource."""
    try:
        token_id, its_resource = _signer.unsign_object(
            value.removeprefix(PREFIX), max_age=LIFETIME.total_seconds()
        )
    except (BadSignature, ValueError):
        return None
    return find_token_by_id(token_id) if its_resource == resource else None
