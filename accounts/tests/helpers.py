"""Helpers for tests: signing in as a browser does, and reading the audit log."""

from __future__ import annotations

import time
from typing import Any

from allauth.mfa.totp.internal import auth as totp
from django.test import Client

from accounts.models import AuditEvent, User

PASSWORD = "correct horse battery"


def sign_in(client: Client, email: str, password: str = PASSWORD) -> Any:
    return client.post("/accounts/login/", {"login": email, "password": password})


def reauthenticate(client: Client) -> None:
    """Enter the password again, as required before security settings are changed."""
    assert client.post("/accounts/reauthenticate/", {"password": PASSWORD}).status_code == 302


def totp_code(secret: str) -> str:
    """The code that an authenticator app shows now."""
    return str(totp.format_hotp_value(totp.hotp_value(secret, int(time.time()) // 30)))


def events_of(user: User) -> list[tuple[str, str]]:
    """Action and detail of the events in the user's audit log, oldest first."""
    events = AuditEvent.objects.filter(user_id=user.pk).order_by("id")
    return [(event.action, event.detail) for event in events]
