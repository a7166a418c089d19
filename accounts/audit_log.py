"""The audit log: what was done with an account, by whom, and from which IP address.

Events are kept for AUDIT_LOG_RETENTION_DAYS. When an account is deleted, its events keep only their
time and action, under a random pseudonym.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from allauth.account import signals as account
from allauth.mfa import signals as mfa
from allauth.socialaccount import signals as social
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.db import connection, transaction
from django.dispatch import Signal
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.client_ip import get_client_ip
from accounts.models import Action, AuditEvent, User

MAX_DETAIL_LENGTH = 300  # of the column
BATCH_ROWS = 1000  # per transaction
EDITS_INTERVAL = timedelta(hours=1)


def record_event(
    request: HttpRequest | None,
    action: Action,
    detail: str = "",
    user_id: int | None = None,
    recording: uuid.UUID | None = None,
) -> None:
    """Add an event to the log of `user_id`, or else of the user of the request, if there is one.

    `detail` must not contain the title of a recording, nor the email address or the name of another
    person: it is not deleted together with them.
    """
    requested_by = getattr(getattr(request, "user", None), "pk", None)
    owner_id = user_id or requested_by
    if owner_id is None:
        return
    AuditEvent.objects.create(
        user_id=owner_id,
        actor_id=None if requested_by == owner_id else requested_by,
        action=action,
        detail=detail[:MAX_DETAIL_LENGTH],
        recording=recording,
        address=get_client_ip(request) if request else None,
    )


def record_edit(request: HttpRequest | None, owner_id: int, recording: uuid.UUID) -> None:
    """Record that the transcript was edited, at most once per editor in EDITS_INTERVAL: every
    corrected sentence is a request of its own."""
    editor = getattr(getattr(request, "user", None), "pk", None)
    since = timezone.now() - EDITS_INTERVAL
    recent = AuditEvent.objects.filter(
        user_id=owner_id, action=Action.EDITED, recording=recording, created_at__gte=since
    )
    if not recent.filter(actor_id=None if editor == owner_id else editor).exists():
        record_event(request, Action.EDITED, user_id=owner_id, recording=recording)


# --- Erasure: the only changes that the trigger of the table permits -----------------------------


def delete_expired() -> None:
    """Delete events, and entries of Django's own log of the admin site, that are older than
    AUDIT_LOG_RETENTION_DAYS."""
    before = timezone.now() - timedelta(days=settings.AUDIT_LOG_RETENTION_DAYS)
    expired = AuditEvent.objects.filter(created_at__lt=before).order_by("created_at")
    deleted = BATCH_ROWS
    while deleted == BATCH_ROWS:
        with _permitted("transcodio.audit_events_expired_before", before.isoformat()):
            batch = expired.values("pk")[:BATCH_ROWS]
            deleted, _ = AuditEvent.objects.filter(pk__in=batch).delete()
    LogEntry.objects.filter(action_time__lt=before).delete()


def pseudonymize(user_id: int) -> None:
    """Remove from the log who the user was. Events keep their time and action, under a pseudonym
    that nothing else contains."""
    pseudonym = uuid.uuid4()
    erased: dict[str, Any] = {"detail": "", "address": None, "recording": None}
    _update(user_id, "user", erased | {"user": None, "pseudonym": pseudonym})
    _update(user_id, "actor", erased | {"actor": None, "actor_pseudonym": pseudonym})


def _update(user_id: int, role: str, values: dict[str, Any]) -> None:
    """Update all events in which the user has that role."""
    events = AuditEvent.objects.filter(**{role: user_id}).order_by("pk")
    updated = BATCH_ROWS
    while updated == BATCH_ROWS:
        with _permitted("transcodio.audit_event_erasure", "on"):
            batch = events.values("pk")[:BATCH_ROWS]
            updated = AuditEvent.objects.filter(pk__in=batch).update(**values)


@contextmanager
def _permitted(variable: str, value: str) -> Iterator[None]:
    """A transaction in which the trigger of the table allows one kind of change."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config(%s, %s, true)", [variable, value])
        yield
        cursor.execute("SELECT set_config(%s, '', true)", [variable])


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
    (account.email_confirmed, Action.EMAIL_CONFIRMED, "{email_address}"),
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
