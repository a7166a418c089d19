"""What allauth asks us."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.core.mail import EmailMessage
from django.http import HttpRequest

from accounts import letters
from accounts.invitations import Invitation


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """The house's answers."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Whether this visitor may make an account."""
        if settings.SIGNUP == "invited":
            return Invitation.of(request) is not None
        return bool(settings.SIGNUP == "open")

    def render_mail(self, *given: Any, **named: Any) -> EmailMessage:
        """Its letters, in our clothes."""
        return letters.dress(super().render_mail(*given, **named))


def signup_door(request: HttpRequest) -> dict[str, str]:
    """For all pages: a door that is closed is not shown."""
    return {"signup_door": settings.SIGNUP}
