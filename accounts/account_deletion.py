"""What goes with an account, or with a session in a list, and hangs on it by no foreign key."""

from __future__ import annotations

from typing import Any

from allauth.usersessions.models import UserSession
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session

from accounts.models import Invitation, User


def end_session(sender: Any, instance: UserSession, **_: Any) -> None:
    """Heard when a session leaves the list, be it because its account does: browsers elsewhere are
    signed out, and the address that they signed in with is stored no longer."""
    SessionStore(instance.session_key).delete()


def delete_invitation(sender: Any, instance: User, **_: Any) -> None:
    """Heard when an account is gone: its address is nowhere, and may be invited again."""
    Invitation.objects.filter(email=instance.email).delete()


def delete_expired_sessions() -> None:
    """Sessions that are over, with the addresses that they came from."""
    SessionStore.clear_expired()
    kept = Session.objects.values("session_key")
    UserSession.objects.exclude(session_key__in=kept).delete()
