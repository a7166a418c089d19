"""Issuing, finding and revoking API tokens."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from datetime import timedelta

from django.http import HttpRequest
from django.utils import timezone

from accounts.audit_log import record_event
from accounts.models import Action, ApiToken, AuditEvent, Scope, User

TOKEN_PREFIX = "tk_"  # noqa: S105 - so that secret scanners and people recognize a token
MIN_UPDATE_INTERVAL_S = 60  # of `last_used_at`: a busy program must not write on every call


def issue_token(
    user: User,
    name: str = "API token",
    scopes: Iterable[str] = tuple(Scope.values),
    days: int | None = None,
    monthly_minutes: int | None = None,
    request: HttpRequest | None = None,
) -> tuple[ApiToken, str]:
    """Create a token of `user`. Return the row, and the secret, which is not stored.

    `days` until it expires and `monthly_minutes` of audio are optional limits. The audit log
    records the token even without a `request` (created on the command line).
    """
    secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
    row = ApiToken.objects.create(
        user=user,
        name=name,
        hint=secret[:8],
        digest=_digest(secret),
        scopes=sorted(set(scopes)),
        expires_at=None if days is None else timezone.now() + timedelta(days=days),
        monthly_minutes=monthly_minutes,
    )
    record_event(request, Action.TOKEN_CREATED, str(row), user_id=user.pk)
    return row, secret


def find_token(secret: str) -> ApiToken | None:
    """Find a valid token; None if it is unknown, expired, or its user is inactive.

    The lookup is by hash, so its timing reveals nothing about the secret.
    """
    token = ApiToken.objects.select_related("user").filter(digest=_digest(secret)).first()
    if token is None or token.is_expired or not token.user.is_active:
        return None
    return token


def revoke_token(token: ApiToken, request: HttpRequest) -> None:
    """Delete the token and record that in the audit log."""
    token.delete()
    record_event(request, Action.TOKEN_REVOKED, str(token), user_id=token.user_id)


def record_token_use(token: ApiToken, address: str | None = None) -> None:
    """Update when and from where the token was last used, and record a new IP address."""
    now = timezone.now()
    same_address = token.last_used_address == address
    if not same_address:
        _record_new_address(token, address)
    age = (now - token.last_used_at).total_seconds() if token.last_used_at else None
    if same_address and age is not None and age <= MIN_UPDATE_INTERVAL_S:
        return
    ApiToken.objects.filter(pk=token.pk).update(last_used_at=now, last_used_address=address)


def _record_new_address(token: ApiToken, address: str | None) -> None:
    event = {
        "user_id": token.user_id,
        "action": Action.TOKEN_NEW_ADDRESS,
        "address": address,
        "detail": str(token),
    }
    if not AuditEvent.objects.filter(**event).exists():
        AuditEvent.objects.create(**event)


def _digest(secret: str) -> str:
    """SHA-256 in hex. The secret has 256 random bits, so a slow password hash would add nothing."""
    return hashlib.sha256(secret.encode()).hexdigest()
