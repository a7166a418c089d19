"""Deletion of accounts: requested in one short transaction, done by a background task.

This module handles the request, the final step, and the data of this app. The task is
`transcriptions.privacy.account_deletion`.
"""

from __future__ import annotations

import json
from typing import Any

from allauth.account.models import EmailAddress
from allauth.usersessions.models import UserSession
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db import transaction
from django.dispatch import Signal
from django.http import HttpRequest
from django.utils.translation import gettext

from accounts import audit_log, email
from accounts.audit_log import record_event
from accounts.models import AccountDeletion, Action, Invitation, OutgoingEmail, User

# Sent with `user_id` after a deletion request is committed: the data can be deleted now.
deletion_requested = Signal()

SESSIONS_PER_QUERY = 500


def request_deletion(user: User, request: HttpRequest | None = None) -> None:
    """Start the deletion of an account: from now on, sign-in, tokens and uploads are refused, and
    all sessions and streams end."""
    with transaction.atomic():
        # Locked: an upload that is being stored finishes first; later ones are refused.
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        disable(user.pk)
        AccountDeletion.objects.get_or_create(user=user)
        record_event(request, Action.ACCOUNT_DELETED, user_id=user.pk)
        transaction.on_commit(lambda: deletion_requested.send(User, user_id=user.pk))


def disable(user_id: int) -> None:
    """Refuse sign-in and tokens, and sign out every browser."""
    User.objects.filter(pk=user_id).update(is_active=False)
    UserSession.objects.filter(user=user_id).delete()


def finish(user_id: int, notify: bool) -> None:
    """Delete the account and the rest of its data. With `notify`, also send the email about it; if
    that raises OSError, the account still exists."""
    addresses = EmailAddress.objects.filter(user=user_id).values_list("email", flat=True)
    _delete_sessions(user_id, set(addresses))
    Invitation.objects.filter(email__in=addresses).delete()
    OutgoingEmail.objects.filter(to__in=addresses).delete()
    audit_log.pseudonymize(user_id)  # in batches; `erase_traces` finds what was added since
    with transaction.atomic():
        user = User.objects.select_for_update().filter(pk=user_id).first()
        if user is None:  # another task was faster
            return
        user.delete()
        if notify:
            email.send(user.email, gettext("Your account has been deleted"), "account_deleted")


def _delete_sessions(user_id: int, addresses: set[str]) -> None:
    """Delete sessions with the user's id or email addresses, such as an unfinished sign-in."""
    addresses |= set(User.objects.filter(pk=user_id).values_list("email", flat=True))
    for session in Session.objects.iterator(chunk_size=SESSIONS_PER_QUERY):
        data = session.get_decoded()
        text = json.dumps(data)
        is_own = data.get("_auth_user_id") == str(user_id)
        if is_own or any(json.dumps(address) in text for address in addresses):
            session.delete()


# --- Signals ------------------------------------------------------------------------------------


def end_session(sender: Any, instance: UserSession, **_: Any) -> None:
    """Receiver of `post_delete` of a listed session: sign that browser out."""
    SessionStore(instance.session_key).delete()


def erase_traces(sender: Any, instance: User, **_: Any) -> None:
    """Receiver of `post_delete` of a user: delete the invitation to the same address, so that the
    address is stored nowhere and can be invited again, and pseudonymize the audit log."""
    Invitation.objects.filter(email=instance.email).delete()
    audit_log.pseudonymize(instance.pk)


def delete_expired_sessions() -> None:
    """Delete expired sessions and their entries, with IP addresses, in the list of sessions."""
    SessionStore.clear_expired()
    active = Session.objects.values("session_key")
    UserSession.objects.exclude(session_key__in=active).delete()
