"""Sign-in: passwords, second factors, sessions, and the admin site."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.utils import encrypt
from django.test import Client

from accounts.authentication import is_session_valid
from accounts.models import User
from accounts.tests.helpers import PASSWORD, reauthenticate, sign_in, totp_code


def path_in(message: Any, page: str) -> str:
    """The path of the link in an email."""
    (path,) = re.findall(rf"http://[^/\s]+(/accounts/{page}/\S+)", message.body)
    return str(path)


@pytest.mark.covers("attack", "A link that resets a password is used a second time")
def test_password_reset_link_works_once(alice: User, client: Client, mailoutbox: Any) -> None:
    client.post("/accounts/password/reset/", {"email": alice.email})
    link = path_in(mailoutbox[0], "password/reset/key")
    form = client.get(link, follow=True).redirect_chain[-1][0]
    new = "staple battery horse"
    assert client.post(form, {"password1": new, "password2": new}).status_code == 302
    for password, is_accepted in ((PASSWORD, False), (new, True)):
        browser = Client()
        sign_in(browser, alice.email, password)
        assert (browser.get("/settings/tokens/").status_code == 200) == is_accepted
    second_use = Client().get(link, follow=True).content.decode()
    assert "password1" not in second_use


def test_password_reset_does_not_reveal_whether_an_account_exists(
    db: None, client: Client, alice: User
) -> None:
    pages = [
        client.post("/accounts/password/reset/", {"email": email}, follow=True).content.decode()
        for email in (alice.email, "nobody@example.com")
    ]
    csrf = re.compile(r'name="csrfmiddlewaretoken" value="\w+"')
    assert csrf.sub("", pages[0]) == csrf.sub("", pages[1])


def test_mandatory_verification_blocks_sign_in_until_confirmed(
    db: None, client: Client, settings: Any, mailoutbox: Any
) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    form = {"email": "new@example.com", "password1": PASSWORD, "password2": PASSWORD}
    client.post("/accounts/signup/", form)
    for browser in (client, Client()):
        sign_in(browser, "new@example.com")
        assert browser.get("/settings/tokens/").status_code == 302
    Client().post(path_in(mailoutbox[0], "confirm-email"))
    browser = Client()
    sign_in(browser, "new@example.com")
    assert browser.get("/settings/tokens/").status_code == 200


@pytest.mark.covers("attack", "An attacker knows the password, but not the second factor")
def test_totp_code_is_required_after_the_password(alice: User, client: Client) -> None:
    sign_in(client, alice.email)
    assert client.get("/accounts/2fa/totp/activate/").status_code == 302
    reauthenticate(client)
    page = client.get("/accounts/2fa/totp/activate/")
    (secret,) = re.findall(r'value="([A-Z2-7]{32})"', page.content.decode())
    assert client.post("/accounts/2fa/totp/activate/", {"code": "000000"}).status_code == 200
    assert (
        client.post("/accounts/2fa/totp/activate/", {"code": totp_code(secret)}).status_code == 302
    )
    other = Client()
    assert "2fa" in sign_in(other, alice.email)["Location"]
    assert other.get("/settings/tokens/").status_code == 302
    other.post("/accounts/2fa/authenticate/", {"code": "000000"})
    assert other.get("/settings/tokens/").status_code == 302


@pytest.mark.covers("attack", "The admin site is used to get past the second factor")
def test_admin_sign_in_requires_the_second_factor(carol: User) -> None:
    secret = "J" * 32
    Authenticator.objects.create(
        user=carol, type=Authenticator.Type.TOTP, data={"secret": encrypt(secret)}
    )
    client = Client()
    form = {"username": carol.email, "password": PASSWORD, "next": "/admin/"}
    for response in (client.get("/admin/accounts/user/"), client.post("/admin/login/", form)):
        assert response.status_code == 302
    assert client.get("/admin/").status_code == 302
    login_url = client.get("/admin/accounts/user/", follow=True).redirect_chain[-1][0]
    assert login_url == "/accounts/login/?next=%2Fadmin%2Faccounts%2Fuser%2F"
    credentials = {"login": carol.email, "password": PASSWORD}
    assert "2fa" in client.post(login_url, credentials)["Location"]
    assert client.get("/admin/").status_code == 302
    response = client.post("/accounts/2fa/authenticate/", {"code": totp_code(secret)})
    assert response["Location"] == "/admin/accounts/user/"
    assert client.get("/admin/").status_code == 200


def test_admin_password_change_redirects_to_the_account_page(carol: User, client: Client) -> None:
    client.force_login(carol)
    form = {"old_password": PASSWORD, "new_password1": "another x", "new_password2": "another x"}
    response = client.post("/admin/password_change/", form)
    assert response["Location"] == "/accounts/password/change/"
    carol.refresh_from_db()
    assert carol.check_password(PASSWORD)


def test_admin_site_is_403_for_users_who_are_not_staff(alice: User, client: Client) -> None:
    sign_in(client, alice.email)
    assert client.get("/admin/", follow=True).status_code == 403


def test_session_is_listed_and_ended_from_another_browser(alice: User) -> None:
    here, there = Client(), Client(headers={"User-Agent": "A lost phone"})
    for client in (here, there):
        sign_in(client, alice.email)
    assert "A lost phone" in here.get("/accounts/sessions/").content.decode()
    here.post("/accounts/sessions/")
    assert there.get("/settings/tokens/").status_code == 302
    assert here.get("/settings/tokens/").status_code == 200


def test_session_is_invalid_after_a_password_change(alice: User, client: Client) -> None:
    client.force_login(alice)
    assert is_session_valid(alice, client.session)
    changed = User.objects.get()
    changed.set_password("staple battery horse")
    changed.save()
    assert not is_session_valid(alice, client.session)


def test_failed_sign_ins_are_rate_limited(db: None) -> None:
    email = f"{uuid.uuid4()}@example.com"  # the counters outlive the test
    User.objects.create_user(email, PASSWORD)
    address = f"198.51.100.{uuid.uuid4().int % 254 + 1}"
    for _ in range(5):
        Client(REMOTE_ADDR=address).post("/accounts/login/", {"login": email, "password": "x"})
    credentials = {"login": email, "password": PASSWORD}
    response = Client(REMOTE_ADDR=address).post("/accounts/login/", credentials)
    assert response.status_code in (200, 429)
    assert "Too many failed" in response.content.decode()
