"""What `manage.py check --deploy` says about accounts."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning, register

UNPROVEN = Warning(
    "Anybody can sign up with somebody else's address, and what they set up there (API tokens, "
    "passkeys) stays when its owner comes.",
    hint="Set EMAIL_VERIFICATION=mandatory, and EMAIL_URL so that letters arrive.",
    id="accounts.W001",
)


@register(deploy=True)
def addresses_are_proven(**_: Any) -> list[CheckMessage]:
    """With invitations they are: the letter has arrived."""
    is_open = settings.SIGNUP == "open"
    return [UNPROVEN] if is_open and settings.ACCOUNT_EMAIL_VERIFICATION != "mandatory" else []
