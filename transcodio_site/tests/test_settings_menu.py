"""The menu of the settings pages."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User
from transcodio_site.templatetags.settings_menu import CONNECTED_ACCOUNTS, GROUPS


@pytest.mark.parametrize(
    ("page", "item"),
    [
        ("/accounts/2fa/webauthn/", "Two-factor authentication"),
        ("/settings/usage/details/", "Usage"),
        ("/settings/subtitles/new/", "Subtitle profiles"),
        ("/accounts/sessions/end/", "Sessions"),
    ],
)
def test_settings_menu_marks_the_current_page(
    alice: User, client: Client, page: str, item: str
) -> None:
    client.force_login(alice)
    content = client.get(page).content.decode()
    # The menu occurs twice: next to the page, and collapsed above it.
    assert re.findall(r"aria-current=\"page\">([^<]+)</a>", content) == [item, item]
    assert f"<summary>Settings: {item}</summary>" in content


def test_settings_menu_marks_the_page_of_a_first_password(alice: User, client: Client) -> None:
    alice.set_unusable_password()
    alice.save()
    client.force_login(alice)
    response = client.get("/accounts/password/change/", follow=True)
    assert response.redirect_chain[-1][0] == "/accounts/password/set/"
    assert "<summary>Settings: Password</summary>" in response.content.decode()


def test_settings_menu_has_every_settings_page(alice: User, client: Client) -> None:
    client.force_login(alice)
    content = client.get("/settings/usage/").content.decode()
    pages = [reverse(name) for _heading, names in GROUPS for name in names]
    linked = re.findall(r'<li><a href="([^"]+)"', content)
    assert linked == 2 * [page for page in pages if page != reverse(CONNECTED_ACCOUNTS)]
    for page in linked:
        opened = client.get(page, follow=True).content.decode()
        assert f'<li><a href="{page}" aria-current="page">' in opened
