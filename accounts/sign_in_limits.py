"""Limits of failed sign-ins that stop guessing without locking the owner out.

Failures count by IP address (allauth's `login_failed`), and by account and address together, so
that nobody can use up the attempts that the owner has elsewhere. When an account has had many
failures from all addresses together, each address has a single attempt per hour: the correct
password always works at the first attempt. The rates are in ACCOUNT_RATE_LIMITS.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from allauth.core.internal import ratelimit
from django.core.cache import cache
from django.http import HttpRequest
from django.utils.translation import gettext

from accounts import email, tasks
from accounts.models import User

WARNING_INTERVAL_S = 24 * 3600
_consume = partial(ratelimit.consume, app="allauth.account")
_clear = partial(ratelimit.clear, app="allauth.account")


def client_key(request: HttpRequest, account: str) -> str:
    """The key of an account and the address of the request; IPv6 addresses count by network."""
    return f"{account}:{ratelimit.get_ip(request)}"


def admit(request: HttpRequest, account: str) -> ratelimit.RateLimitUsage | None:
    """Use up an attempt if the password of the account is being guessed. Return None if none is
    left. After a successful sign-in, the caller undoes the returned usage."""
    unused = ratelimit.RateLimitUsage(usage=[])
    if _consume(request, action="login_failed_account", key=account, dry_run=True):
        return unused
    return _consume(request, action="login_failed_slow", key=client_key(request, account))


def count_failure(request: HttpRequest, account: str, email: str) -> None:
    """Count a wrong password; warn the owner when the password is being guessed."""
    if not _consume(request, action="login_failed_account", key=account):
        _warn(User.objects.filter(email=email.lower()).first(), "wrong_passwords")


def count_wrong_code(sender: Any, request: HttpRequest, user: User, **_: Any) -> None:
    """Receiver of `authentication_failed`: warn the owner of wrong second-factor codes, because
    whoever enters them knows the password."""
    if not _consume(request, action="wrong_codes", key=f"user-{user.pk}"):
        _warn(user, "wrong_codes")


def forget(request: HttpRequest, email: str) -> None:
    """Reset the counts after a password reset: whoever entered wrong codes does not know the new
    password."""
    for user in User.objects.filter(email=email.lower()):
        _clear(request, action="login_failed", key=f"mfa-auth-user-{user.pk}")
        _clear(request, action="wrong_codes", key=f"user-{user.pk}")


def _warn(user: User | None, template: str) -> None:
    """Send the email once in WARNING_INTERVAL_S."""
    if user and cache.add(f"{template}:{user.pk}", 1, WARNING_INTERVAL_S):
        subject = gettext("Failed attempts to sign in to your account")
        tasks.send_later(email.compose(user.email, subject, template))
