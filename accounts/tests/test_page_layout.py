"""The account pages: layout, titles, and the content security policy."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from accounts.models import User
from accounts.tests.helpers import reauthenticate, sign_in


@pytest.mark.parametrize(
    "page", ["2fa/", "2fa/totp/activate/", "2fa/webauthn/add/", "sessions/", "email/"]
)
def test_allauth_pages_have_our_layout_and_no_inline_script(
    alice: User, client: Client, page: str
) -> None:
    sign_in(client, alice.email)
    reauthenticate(client)
    content = client.get(f"/accounts/{page}", follow=True).content.decode()
    assert "settings-menu" in content
    assert "<script>" not in content  # the Content-Security-Policy would block it


@pytest.mark.parametrize("page", ["/accounts/login/", "/accounts/signup/", "/nothing/"])
def test_page_title_ends_with_the_site_name_once(db: None, client: Client, page: str) -> None:
    [title] = re.findall(r"(?s)<title>(.*?)</title>", client.get(page).content.decode())
    assert re.fullmatch(r"\s*\w[^·]+ · Transcodio", title)
