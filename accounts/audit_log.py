"""The audit log: what was done in the name of an account, by whom and from where. It only grows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from allauth.account import signals as account
from allauth.mfa import signals as mfa
from allauth.socialaccount import signals as social
from django.dispatch import Signal
from django.http import HttpRequest

from accounts.client_ip import client_address
from accounts.models import Action, AuditEvent, User


def record_event(
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


def record_sign_in(sender: Any, request: HttpRequest, user: Any, **_: Any) -> None:
    """Heard from `user_logged_in`."""
    record_event(request, Action.SIGNED_IN, user_id=user.pk)


def record_failed_sign_in(
    sender: Any, credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any
) -> None:
    """Heard from `user_login_failed`; of addresses that nobody has there is nothing to be told."""
    email = str(credentials.get("email") or credentials.get("username") or "").lower()
    user = User.objects.filter(email=email).first()
    if user:
        record_event(request, Action.SIGN_IN_FAILED, user_id=user.pk)


# --- What allauth tells of ----------------------------------------------------------------------

RECORDED_SIGNALS: tuple[tuple[Signal, Action, str], ...] = (
    (account.password_changed, Action.PASSWORD, ""),
    (account.password_reset, Action.PASSWORD, "By a letter"),
    (account.password_set, Action.PASSWORD, "The first one"),
    (account.email_added, Action.EMAIL, "Added {email_address}"),
    (account.email_changed, Action.EMAIL, "Now {to_email_address}"),
    (account.email_removed, Action.EMAIL, "Removed {email_address}"),
    (account.email_confirmed, Action.EMAIL, "Confirmed {email_address}"),
    (mfa.authenticator_added, Action.MFA_CHANGED, "Added: {authenticator}"),
    (mfa.authenticator_removed, Action.MFA_CHANGED, "Removed: {authenticator}"),
    (mfa.authenticator_reset, Action.MFA_CHANGED, "Made anew: {authenticator}"),
    (mfa.authentication_failed, Action.SIGN_IN_FAILED, "A wrong code"),
    (social.social_account_added, Action.CONNECTED_ACCOUNT, "Added: {account}"),
    (social.social_account_removed, Action.CONNECTED_ACCOUNT, "Removed: {account}"),
)


def connect() -> None:
    """Hears of all that is in the table, from now on."""
    for signal, action, words in RECORDED_SIGNALS:
        signal.connect(_receiver(action, words), weak=False)


def _receiver(action: Action, words: str) -> Callable[..., None]:
    """A receiver; the signals come with the request, and with the user or with what the words speak
    of, which is the user's."""

    def receiver(sender: Any, request: HttpRequest, user: Any = None, **more: Any) -> None:
        if login := more.get("sociallogin"):
            more["socialaccount"] = login.account
        if connected := more.get("socialaccount"):
            more["account"] = f"{connected.provider} {connected.uid}"
        whose = user or (more.get("socialaccount") or more["email_address"]).user
        record_event(request, action, words.format(**more), user_id=whose.pk)

    return receiver
