"""The demo account that the first start creates, for signing in and for calling the API."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path

from allauth.account.models import EmailAddress
from django.conf import settings

from accounts.models import User
from accounts.tokens import find_token, issue_token
from transcodio_site.files import write_atomically

EMAIL = "demo@example.com"


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """Credentials of the demo account."""

    email: str
    password: str
    token: str


def demo_account() -> DemoAccount:
    """The demo account of this installation. The first call creates it in the data folder.

    Raises OSError if it cannot be stored.
    """
    account = _stored()
    if account and (token := find_token(account.token)):
        if token.user.check_password(account.password):
            return account
        return replace(account, password="(the one that you chose)")  # noqa: S106
    account = _create()
    write_atomically(_path(), json.dumps(asdict(account)))
    return account


def _path() -> Path:
    return Path(settings.VAR_DIR) / "demo_account.json"


def _stored() -> DemoAccount | None:
    """The stored account; None if there is none, or if the file is damaged."""
    try:
        account = DemoAccount(**json.loads(_path().read_text()))
    except (OSError, ValueError, TypeError):
        return None
    values = astuple(account)
    return account if all(isinstance(v, str) and v.isprintable() for v in values) else None


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
