"""Checks of `manage.py check --deploy`."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning, register

UNVERIFIED_SIGNUP = Warning(
    "Anyone can sign up with another person's email address, and what they set up in that account "
    "(API tokens, passkeys) remains when the owner of the address takes over the account.",
    hint="Set EMAIL_VERIFICATION=mandatory, and EMAIL_URL so that emails are delivered.",
    id="accounts.W001",
)


@register(deploy=True)
def check_email_verification(**_: Any) -> list[CheckMessage]:
    """Warn if sign-up is open to unverified addresses. An invitation verifies the address itself:
    its link was delivered there."""
    is_open = settings.SIGNUP == "open"
    is_verified = settings.ACCOUNT_EMAIL_VERIFICATION == "mandatory"
    return [UNVERIFIED_SIGNUP] if is_open and not is_verified else []
