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
CHOSEN_PASSWORD = "(the one that you chose)"  # noqa: S105
DISABLED = "(none: this account is disabled)"


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """Credentials of the demo account."""

    email: str
    password: str
    token: str


def demo_account() -> DemoAccount:
    """The demo account of this installation. The first call creates it in the data folder. Later
    ones never change its password, and never enable it again.

    Raises OSError if it cannot be stored.
    """
    user = User.objects.filter(email=EMAIL).first()
    account = _stored()
    if user is None:
        account = _create()
    elif account and _is_token_of(user, account.token):
        if user.check_password(account.password):
            return account
        return replace(account, password=CHOSEN_PASSWORD)
    else:
        account = _with_new_token(user, account)
    write_atomically(_path(), json.dumps(asdict(account)))
    return account


def _is_token_of(user: User, token: str) -> bool:
    found = find_token(token)
    return found is not None and found.user_id == user.pk


def _with_new_token(user: User, account: DemoAccount | None) -> DemoAccount:
    """The account of a user whose token was revoked. The password, and whether the user may sign
    in, is up to the owner of this installation."""
    known = account is not None and user.check_password(account.password)
    password = account.password if account and known else CHOSEN_PASSWORD
    token = issue_token(user, "demo")[1] if user.is_active else DISABLED
    return DemoAccount(EMAIL, password, token)


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
    user = User.objects.create_user(EMAIL, password)
    # This mailbox does not exist. Without a verified address no second factor can be added.
    EmailAddress.objects.create(user=user, email=EMAIL, verified=True, primary=True)
    return DemoAccount(EMAIL, password, issue_token(user, "demo")[1])
