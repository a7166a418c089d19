"""Sign-up by several simultaneous requests."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from accounts.forms import SignupForm
from accounts.models import User
from accounts.tests.helpers import PASSWORD

FORM = {"email": "new@example.com", "password1": PASSWORD, "password2": PASSWORD}


def sign_up(client: Client) -> str:
    """Return where the response leads to."""
    try:
        return str(client.post("/accounts/signup/", FORM)["Location"])
    finally:
        connections.close_all()


@pytest.mark.parametrize(
    ("verification", "faster", "slower"),
    [
        ("optional", "/", "/accounts/login/"),
        ("mandatory", "/accounts/confirm-email/", "/accounts/confirm-email/"),
    ],
)
@pytest.mark.django_db(transaction=True)
def test_simultaneous_sign_ups_create_one_account(
    settings: Any, monkeypatch: pytest.MonkeyPatch, verification: str, faster: str, slower: str
) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = verification
    both_have_looked_up_the_address = Barrier(2)
    save = SignupForm.save

    def save_together(form: SignupForm, request: Any) -> Any:
        both_have_looked_up_the_address.wait(180)
        return save(form, request)

    monkeypatch.setattr(SignupForm, "save", save_together)
    with ThreadPoolExecutor(2) as threads:
        locations = list(threads.map(sign_up, [Client(), Client()]))
    assert sorted(locations) == sorted([faster, slower])
    assert User.objects.filter(email=FORM["email"]).count() == 1
