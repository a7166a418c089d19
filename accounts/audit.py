"""The audit log: what was done in the name of an account, by whom and from where. It only grows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from allauth.account import signals as account
from allauth.mfa import signals as mfa
from allauth.socialaccount import signals as social
from django.conf import settings
from django.db import models
from django.dispatch import Signal
from django.http import HttpRequest
from django.utils import timezone

from accounts.addresses import client_address


class Action(models.TextChoices):
    """What is written down."""

    SIGNED_IN = "signed_in", "Signed in"
    SIGN_IN_FAILED = "sign_in_failed", "Sign-in failed"
    TOKEN_MADE = "token_made", "API token made"
    TOKEN_REVOKED = "token_revoked", "API token revoked"
    TOKEN_MOVED = "token_moved", "API token used from a new address"
    EXPORTED = "exported", "Transcript exported"
    TAKEN_OUT = "taken_out", "All data downloaded"
    DELETED = "deleted", "Recording deleted"
    GOODBYE = "goodbye", "Account deleted"
    ADMIN = "admin", "Changed by the administration"
    PASSWORD = "password", "Password changed"
    EMAIL = "email", "E-mail address changed"
    FACTOR = "factor", "Second factor changed"
    CONNECTED = "connected", "Sign-in with another account changed"
    WEBHOOK = "webhook", "Webhook changed"


class AuditEvent(models.Model):
    """One thing that was done."""

    created_at = models.DateTimeField(default=timezone.now, db_index=True)
    # Whose account it concerns. No constraint in the database: the log outlives the account.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, db_constraint=False, related_name="audit"
    )
    action = models.CharField(max_length=20, choices=Action)
    detail = models.CharField(max_length=300, blank=True)
    address = models.GenericIPAddressField(null=True)

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        indexes: ClassVar = [models.Index(fields=["user", "-created_at"], name="audit_of_user")]

    def __str__(self) -> str:
        return f"{self.get_action_display()}: {self.detail}"


def note(
    request: HttpRequest | None, action: Action, detail: str = "", user_id: int | None = None
) -> None:
    """Writes it down: for the user of the request, or for another whom it concerns."""
    concerned = user_id or getattr(getattr(request, "user", None), "pk", None)
    if concerned is None:
        return
    AuditEvent.objects.create(
        user_id=concerned,
        action=action,
        detail=detail[:300],
        address=client_address(request) if request else None,
    )


# --- What Django itself tells of ----------------------------------------------------------------


def signed_in(sender: Any, request: HttpRequest, user: Any, **_: Any) -> None:
    """Heard from `user_logged_in`."""
    note(request, Action.SIGNED_IN, user_id=user.pk)


def sign_in_failed(
    sender: Any, credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any
) -> None:
    """Heard from `user_login_failed`; of addresses that nobody has there is nothing to be told."""
    from accounts.models import User

    email = str(credentials.get("email") or credentials.get("username") or "").lower()
    user = User.objects.filter(email=email).first()
    if user:
        note(request, Action.SIGN_IN_FAILED, user_id=user.pk)


# --- What allauth tells of ----------------------------------------------------------------------

TOLD: tuple[tuple[Signal, Action, str], ...] = (
    (account.password_changed, Action.PASSWORD, ""),
    (account.password_reset, Action.PASSWORD, "By a letter"),
    (account.password_set, Action.PASSWORD, "The first one"),
    (account.email_added, Action.EMAIL, "Added {email_address}"),
    (account.email_changed, Action.EMAIL, "Now {to_email_address}"),
    (account.email_removed, Action.EMAIL, "Removed {email_address}"),
    (account.email_confirmed, Action.EMAIL, "Confirmed {email_address}"),
    (mfa.authenticator_added, Action.FACTOR, "Added: {authenticator}"),
    (mfa.authenticator_removed, Action.FACTOR, "Removed: {authenticator}"),
    (mfa.authenticator_reset, Action.FACTOR, "Made anew: {authenticator}"),
    (mfa.authentication_failed, Action.SIGN_IN_FAILED, "A wrong code"),
    (social.social_account_added, Action.CONNECTED, "Added: {account}"),
    (social.social_account_removed, Action.CONNECTED, "Removed: {account}"),
)


def listen() -> None:
    """Hears of all that is in the table, from now on."""
    for signal, action, words in TOLD:
        signal.connect(_told(action, words), weak=False)


def _told(action: Action, words: str) -> Callable[..., None]:
    """A receiver; the signals come with the request, and with the user or with what the words speak
    of, which is the user's."""

    def receiver(sender: Any, request: HttpRequest, user: Any = None, **more: Any) -> None:
        if login := more.get("sociallogin"):
            more["socialaccount"] = login.account
        if connected := more.get("socialaccount"):
            more["account"] = f"{connected.provider} {connected.uid}"
        whose = user or (more.get("socialaccount") or more["email_address"]).user
        note(request, action, words.format(**more), user_id=whose.pk)

    return receiver
