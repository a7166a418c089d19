"""The account that a first run makes, so that a newcomer can sign in and call the API at once."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from allauth.account.models import EmailAddress
from django.conf import settings

from accounts.models import User
from accounts.tokens import find_token, issue_token

EMAIL = "demo@example.com"


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """What to type."""

    email: str
    password: str
    token: str


def demo_account() -> DemoAccount:
    """The account of this installation, made at the first call and kept in the data folder."""
    path = Path(settings.VAR_DIR) / "demo_account.json"
    if path.exists():
        account = DemoAccount(**json.loads(path.read_text()))
        token = find_token(account.token)
        if token and token.user.check_password(account.password):
            return account
        if token:
            return replace(account, password="(the one that you chose)")  # noqa: S106
    account = _make()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(asdict(account), file)
    return account


def _make() -> DemoAccount:
    password = secrets.token_urlsafe(9)
    user = User.objects.filter(email=EMAIL).first() or User(email=EMAIL)
    user.set_password(password)
    user.is_active = True
    user.save()
    # Nobody reads that mailbox: without this, no second factor could be tried.
    EmailAddress.objects.update_or_create(
        user=user, email=EMAIL, defaults={"verified": True, "primary": True}
    )
    return DemoAccount(EMAIL, password, issue_token(user, "demo")[1])
