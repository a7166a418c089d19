"""Issuing, finding and revoking API tokens."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from datetime import timedelta

from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts.audit_log import record_event
from accounts.models import Action, ApiToken, AuditEvent, Scope, User

TOKEN_PREFIX = "tk_"  # noqa: S105 - so that secret scanners and people recognize a token
# Between updates of `last_used_at`: a busy program must not cause a write on every call.
MIN_UPDATE_INTERVAL = timedelta(minutes=1)


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
    return _valid(ApiToken.objects.filter(digest=_digest(secret)))


def find_token_by_id(token_id: int) -> ApiToken | None:
    """Find a token that was valid before; None if it no longer is."""
    return _valid(ApiToken.objects.filter(pk=token_id))


def _valid(rows: QuerySet[ApiToken]) -> ApiToken | None:
    token = rows.select_related("user").first()
    if token is None or token.is_expired or not token.user.is_active:
        return None
    return token


def revoke_token(token: ApiToken, request: HttpRequest) -> None:
    """Delete the token and record that in the audit log."""
    token.delete()
    record_event(request, Action.TOKEN_REVOKED, str(token), user_id=token.user_id)


def record_token_use(token: ApiToken, address: str | None = None) -> None:
    """Update the time and IP address of the token's last use, at most once in MIN_UPDATE_INTERVAL.
    Record each IP address the first time that it uses the token."""
    if token.last_used_address != address:
        _record_new_address(token, address)
    now = timezone.now()
    latest = now - MIN_UPDATE_INTERVAL
    if token.last_used_at is None or token.last_used_at < latest:
        # Of concurrent requests, only the first one writes.
        due = Q(last_used_at=None) | Q(last_used_at__lt=latest)
        values = {"last_used_at": now, "last_used_address": address}
        ApiToken.objects.filter(due, pk=token.pk).update(**values)


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
