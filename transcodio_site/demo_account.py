"""The demo account that the first start creates, for signing in and for calling the API."""

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
    """Credentials of the demo account."""

    email: str
    password: str
    token: str


def demo_account() -> DemoAccount:
    """The demo account of this installation. The first call creates it in the data folder."""
    account = _stored()
    if account and (token := find_token(account.token)):
        if token.user.check_password(account.password):
            return account
        return replace(account, password="(the one that you chose)")  # noqa: S106
    account = _create()
    _store(account)
    return account


def _path() -> Path:
    return Path(settings.VAR_DIR) / "demo_account.json"


def _stored() -> DemoAccount | None:
    """The stored account; None if there is none, or if the file is unusable (after a full disk)."""
    try:
        return DemoAccount(**json.loads(_path().read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _store(account: DemoAccount) -> None:
    """Replace the file atomically, so that neither a reader nor a crash sees a partial one."""
    new = _path().with_name(f"demo_account.{secrets.token_hex(4)}")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(asdict(account), file)
    new.replace(_path())


def _create() -> DemoAccount:
    password = secrets.token_urlsafe(9)
    user = User.objects.filter(email=EMAIL).first() or User(email=EMAIL)
    user.set_password(password)
    user.is_active = True
    user.save()
    # This mailbox does not exist. Without a verified address no second factor can be added.
    EmailAddress.objects.update_or_create(
        user=user, email=EMAIL, defaults={"verified": True, "primary": True}
    )
    return DemoAccount(EMAIL, password, issue_token(user, "demo")[1])
