"""What allauth asks us."""

from __future__ import annotations

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.http import HttpRequest


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """The house's answers."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Whether people may make accounts for themselves."""
        return bool(settings.SIGNUP == "open")


def signup_open(request: HttpRequest) -> dict[str, bool]:
    """For all pages: a door that is closed is not shown."""
    return {"signup_open": settings.SIGNUP == "open"}
