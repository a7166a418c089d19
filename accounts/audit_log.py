"""The audit log: what was done with an account, and from which IP address. Rows are only added."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from allauth.account import signals as account
from allauth.mfa import signals as mfa
from allauth.socialaccount import signals as social
from django.dispatch import Signal
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.client_ip import get_client_ip
from accounts.models import Action, AuditEvent, User

MAX_DETAIL_LENGTH = 300  # of the column


def record_event(
    request: HttpRequest | None, action: Action, detail: str = "", user_id: int | None = None
) -> None:
    """Add an event to the log of `user_id`, or else of the user of the request, if there is one."""
    owner_id = user_id or getattr(getattr(request, "user", None), "pk", None)
    if owner_id is None:
        return
    AuditEvent.objects.create(
        user_id=owner_id,
        action=action,
        detail=detail[:MAX_DETAIL_LENGTH],
        address=get_client_ip(request) if request else None,
    )


# --- Signals of Django --------------------------------------------------------------------------


def record_sign_in(sender: Any, request: HttpRequest, user: Any, **kwargs: Any) -> None:
    """Receiver of `user_logged_in`."""
    record_event(request, Action.SIGNED_IN, user_id=user.pk)


def record_failed_sign_in(
    sender: Any, credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: Any
) -> None:
    """Receiver of `user_login_failed`. Addresses without an account are not recorded."""
    email = str(credentials.get("email") or credentials.get("username") or "").lower()
    user = User.objects.filter(email=email).first()
    if user:
        record_event(request, Action.SIGN_IN_FAILED, user_id=user.pk)


# --- Signals of allauth -------------------------------------------------------------------------

RECORDED_SIGNALS: tuple[tuple[Signal, Action, str | Promise], ...] = (
    (account.password_changed, Action.PASSWORD, ""),
    (account.password_reset, Action.PASSWORD, _("Reset by email")),
    (account.password_set, Action.PASSWORD, _("First password")),
    (account.email_added, Action.EMAIL, _("Added: {email_address}")),
    (account.email_changed, Action.EMAIL, _("Primary address: {to_email_address}")),
    (account.email_removed, Action.EMAIL, _("Removed: {email_address}")),
    (account.email_confirmed, Action.EMAIL, _("Confirmed: {email_address}")),
    (mfa.authenticator_added, Action.MFA_CHANGED, _("Added: {authenticator}")),
    (mfa.authenticator_removed, Action.MFA_CHANGED, _("Removed: {authenticator}")),
    (mfa.authenticator_reset, Action.MFA_CHANGED, _("Generated again: {authenticator}")),
    (mfa.authentication_failed, Action.SIGN_IN_FAILED, _("Incorrect code")),
    (social.social_account_added, Action.CONNECTED_ACCOUNT, _("Added: {account}")),
    (social.social_account_removed, Action.CONNECTED_ACCOUNT, _("Removed: {account}")),
)


def connect() -> None:
    """Connect a receiver to each of RECORDED_SIGNALS."""
    for signal, action, detail in RECORDED_SIGNALS:
        signal.connect(_receiver(action, detail), weak=False)


def _receiver(action: Action, detail: str | Promise) -> Callable[..., None]:
    """A receiver that records `action`.

    All these signals send the request. They send either the user, or the object that `detail`
    names, which belongs to the user.
    """

    def receiver(sender: Any, request: HttpRequest, user: Any = None, **kwargs: Any) -> None:
        if login := kwargs.get("sociallogin"):
            kwargs["socialaccount"] = login.account
        if connected := kwargs.get("socialaccount"):
            kwargs["account"] = f"{connected.provider} {connected.uid}"
        owner = user or (kwargs.get("socialaccount") or kwargs["email_address"]).user
        record_event(request, action, str(detail).format(**kwargs), user_id=owner.pk)

    return receiver
