"""Delete what no foreign key deletes together with an account or a listed session."""

from __future__ import annotations

from typing import Any

from allauth.usersessions.models import UserSession
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session

from accounts.models import Invitation, User


def end_session(sender: Any, instance: UserSession, **_: Any) -> None:
    """Receiver of `post_delete` of a listed session: sign that browser out.

    Deleting an account deletes its listed sessions, and so signs out every browser and removes the
    email address from the session data.
    """
    SessionStore(instance.session_key).delete()


def delete_invitation(sender: Any, instance: User, **_: Any) -> None:
    """Receiver of `post_delete` of a user: delete the invitation to the same address, so that the
    address is stored nowhere and can be invited again."""
    Invitation.objects.filter(email=instance.email).delete()


def delete_expired_sessions() -> None:
    """Delete expired sessions and their entries, with IP addresses, in the list of sessions."""
    SessionStore.clear_expired()
    active = Session.objects.values("session_key")
    UserSession.objects.exclude(session_key__in=active).delete()
