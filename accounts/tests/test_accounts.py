"""Signing up and in: doors that are closed, codes from an app, sessions that are ended."""

from __future__ import annotations

import re
import time
import uuid
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from allauth.mfa.utils import encrypt
from allauth.usersessions.models import UserSession
from django.core.checks import run_checks
from django.test import Client

from accounts.authentication import stays_signed_in
from accounts.models import Plan, User

PASSWORD = "correct horse battery"


def sign_in(client: Client, email: str, password: str = PASSWORD) -> Any:
    return client.post("/accounts/login/", {"login": email, "password": password})


def confirm(client: Client) -> None:
    """What is asked before anything about the account's safety is changed."""
    assert client.post("/accounts/reauthenticate/", {"password": PASSWORD}).status_code == 302


def code(secret: str) -> str:
    """What the app shows at this moment."""
    return str(totp.format_hotp_value(totp.hotp_value(secret, int(time.time()) // 30)))


def test_a_closed_door_is_neither_open_nor_shown(db: None, client: Client, settings: Any) -> None:
    assert "/accounts/signup/" in client.get("/").content.decode()
    settings.SIGNUP = "closed"
    assert "/accounts/signup/" not in client.get("/").content.decode()
    form = {"email": "new@example.com", "password1": PASSWORD, "password2": PASSWORD}
    answer = client.post("/accounts/signup/", form)
    assert "closed" in answer.content.decode().lower()
    assert not User.objects.exists()


def way_in(letter: Any, page: str) -> str:
    """The path that a letter leads to."""
    (path,) = re.findall(rf"http://[^/\s]+(/accounts/{page}/\S+)", letter.body)
    return str(path)


def test_a_forgotten_password_is_replaced_by_a_letter_that_works_once(
    alice: User, client: Client, mailoutbox: Any
) -> None:
    client.post("/accounts/password/reset/", {"email": alice.email})
    link = way_in(mailoutbox[0], "password/reset/key")
    form = client.get(link, follow=True).redirect_chain[-1][0]
    new = "staple battery horse"
    assert client.post(form, {"password1": new, "password2": new}).status_code == 302
    for password, comes_in in ((PASSWORD, False), (new, True)):
        browser = Client()
        sign_in(browser, alice.email, password)
        assert (browser.get("/settings/tokens/").status_code == 200) == comes_in
    again = Client().get(link, follow=True).content.decode()
    assert "password1" not in again


def test_a_stranger_s_address_is_not_given_away_by_a_forgotten_password(
    db: None, client: Client, alice: User
) -> None:
    pages = [
        client.post("/accounts/password/reset/", {"email": email}, follow=True).content.decode()
        for email in (alice.email, "nobody@example.com")
    ]
    csrf = re.compile(r'name="csrfmiddlewaretoken" value="\w+"')
    assert csrf.sub("", pages[0]) == csrf.sub("", pages[1])


def test_letters_lead_to_us_whatever_host_is_asked_for(
    alice: User, client: Client, settings: Any, mailoutbox: Any
) -> None:
    settings.SITE_URL = "https://transcodio.example"
    for email in (alice.email, "nobody@example.com"):
        client.post("/accounts/password/reset/", {"email": email}, HTTP_HOST="localhost:6666")
    form = {"email": "dora@example.com", "password1": PASSWORD, "password2": PASSWORD}
    client.post("/accounts/signup/", form, HTTP_HOST="localhost:6666")
    assert [letter.to for letter in mailoutbox][::2] == [[alice.email], ["dora@example.com"]]
    for letter in mailoutbox:
        for text in (letter.body, letter.alternatives[0][0]):
            assert "://transcodio.example/accounts/" in text
            assert "localhost" not in text


def test_an_address_may_have_to_be_confirmed_first(
    db: None, client: Client, settings: Any, mailoutbox: Any
) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    form = {"email": "new@example.com", "password1": PASSWORD, "password2": PASSWORD}
    client.post("/accounts/signup/", form)
    for browser in (client, Client()):
        sign_in(browser, "new@example.com")
        assert browser.get("/settings/tokens/").status_code == 302
    Client().post(way_in(mailoutbox[0], "confirm-email"))
    browser = Client()
    sign_in(browser, "new@example.com")
    assert browser.get("/settings/tokens/").status_code == 200


def test_a_code_from_an_app_is_asked_for_after_the_password(alice: User, client: Client) -> None:
    sign_in(client, alice.email)
    assert client.get("/accounts/2fa/totp/activate/").status_code == 302
    confirm(client)
    page = client.get("/accounts/2fa/totp/activate/")
    (secret,) = re.findall(r'value="([A-Z2-7]{32})"', page.content.decode())
    assert client.post("/accounts/2fa/totp/activate/", {"code": "000000"}).status_code == 200
    assert client.post("/accounts/2fa/totp/activate/", {"code": code(secret)}).status_code == 302
    other = Client()
    assert "2fa" in sign_in(other, alice.email)["Location"]
    assert other.get("/settings/tokens/").status_code == 302
    other.post("/accounts/2fa/authenticate/", {"code": "000000"})
    assert other.get("/settings/tokens/").status_code == 302


def test_the_admin_site_has_no_door_of_its_own(carol: User) -> None:
    secret = "J" * 32
    Authenticator.objects.create(
        user=carol, type=Authenticator.Type.TOTP, data={"secret": encrypt(secret)}
    )
    client = Client()
    form = {"username": carol.email, "password": PASSWORD, "next": "/admin/"}
    for door in (client.get("/admin/accounts/user/"), client.post("/admin/login/", form)):
        assert door.status_code == 302
    assert client.get("/admin/").status_code == 302
    entry = client.get("/admin/accounts/user/", follow=True).redirect_chain[-1][0]
    assert entry == "/accounts/login/?next=%2Fadmin%2Faccounts%2Fuser%2F"
    right = {"login": carol.email, "password": PASSWORD}
    assert "2fa" in client.post(entry, right)["Location"]
    assert client.get("/admin/").status_code == 302
    answer = client.post("/accounts/2fa/authenticate/", {"code": code(secret)})
    assert answer["Location"] == "/admin/accounts/user/"
    assert client.get("/admin/").status_code == 200


def test_nor_does_it_change_passwords_by_itself(carol: User, client: Client) -> None:
    client.force_login(carol)
    form = {"old_password": PASSWORD, "new_password1": "another x", "new_password2": "another x"}
    answer = client.post("/admin/password_change/", form)
    assert answer["Location"] == "/accounts/password/change/"
    carol.refresh_from_db()
    assert carol.check_password(PASSWORD)


def test_nobody_reads_second_factors_in_the_admin_site(alice: User, carol: User) -> None:
    data = {"secret": encrypt("J" * 32)}
    factor = Authenticator.objects.create(user=alice, type=Authenticator.Type.TOTP, data=data)
    client = Client()
    client.force_login(carol)
    factors = "/admin/mfa/authenticator/"
    page = client.get(f"{factors}{factor.pk}/change/")
    assert page.status_code == 200
    assert "alice@example.com" in page.content.decode()
    assert "JJJJ" not in page.content.decode()
    assert client.get(f"{factors}?data__secret__startswith=J").status_code == 400
    assert client.get(f"{factors}?type__exact=totp").status_code == 200
    assert client.get(f"{factors}add/").status_code == 403
    assert client.post(f"{factors}{factor.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not Authenticator.objects.exists()  # to help somebody who has lost it


def test_who_is_not_staff_is_told_so_by_the_admin_site(alice: User, client: Client) -> None:
    sign_in(client, alice.email)
    assert client.get("/admin/", follow=True).status_code == 403


def test_a_session_is_seen_and_ended_from_another(alice: User) -> None:
    here, there = Client(), Client(headers={"User-Agent": "A lost telephone"})
    for client in (here, there):
        sign_in(client, alice.email)
    assert "A lost telephone" in here.get("/accounts/sessions/").content.decode()
    here.post("/accounts/sessions/")
    assert there.get("/settings/tokens/").status_code == 302
    assert here.get("/settings/tokens/").status_code == 200


def test_a_new_password_ends_what_is_followed_elsewhere(alice: User, client: Client) -> None:
    client.force_login(alice)
    assert stays_signed_in(alice, client.session)
    same = User.objects.get()
    same.set_password("staple battery horse")
    same.save()
    assert not stays_signed_in(alice, client.session)


def test_passwords_are_not_guessed_for_long(db: None) -> None:
    email = f"{uuid.uuid4()}@example.com"  # the counters outlive the test
    User.objects.create_user(email, PASSWORD)
    address = f"198.51.100.{uuid.uuid4().int % 254 + 1}"
    for _ in range(5):
        Client(REMOTE_ADDR=address).post("/accounts/login/", {"login": email, "password": "x"})
    right = {"login": email, "password": PASSWORD}
    answer = Client(REMOTE_ADDR=address).post("/accounts/login/", right)
    assert answer.status_code in (200, 429)
    assert "Too many failed" in answer.content.decode()


def test_a_wrong_number_of_proxies_shuts_nobody_out_and_is_named(
    alice: User, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 2
    browser = Client(REMOTE_ADDR="198.51.100.7", headers={"X-Forwarded-For": "192.0.2.7"})
    sign_in(browser, alice.email)
    assert browser.get("/settings/tokens/").status_code == 200
    assert "TRUSTED_PROXY_COUNT=2" in caplog.text


@pytest.mark.parametrize(
    ("proxies", "prefix", "comes_in"), [(0, "", False), (1, "", True), (1, "::ffff:", True)]
)
def test_one_who_guesses_locks_nobody_else_out(
    alice: User, settings: Any, proxies: int, prefix: str, comes_in: bool
) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = proxies
    proxy = f"198.51.100.{uuid.uuid4().int % 254 + 1}"  # the counters outlive the test
    guessing, hers = "192.0.2.66", "192.0.2.7"

    def through_proxy(client: str) -> Client:
        return Client(REMOTE_ADDR=proxy, headers={"X-Forwarded-For": client})

    for _ in range(11):
        sign_in(through_proxy(f"8.8.8.8, {prefix}{guessing}"), f"{uuid.uuid4()}@example.com", "x")
    browser = through_proxy(f"{prefix}{hers}")
    sign_in(browser, alice.email)
    assert (browser.get("/settings/tokens/").status_code == 200) == comes_in
    seen = UserSession.objects.values_list("ip", flat=True)
    assert list(seen) == ([hers] if comes_in else [])


@pytest.mark.parametrize(
    "page", ["2fa/", "2fa/totp/activate/", "2fa/webauthn/add/", "sessions/", "email/"]
)
def test_the_account_s_pages_wear_the_house_s_clothes(
    alice: User, client: Client, page: str
) -> None:
    sign_in(client, alice.email)
    confirm(client)
    content = client.get(f"/accounts/{page}", follow=True).content.decode()
    assert "account-menu" in content
    assert "<script>" not in content  # our policy would not run it


@pytest.mark.parametrize("page", ["/accounts/login/", "/accounts/signup/", "/nothing/"])
def test_every_title_names_the_site_once(db: None, client: Client, page: str) -> None:
    [title] = re.findall(r"(?s)<title>(.*?)</title>", client.get(page).content.decode())
    assert re.fullmatch(r"\s*\w[^·]+ · Transcodio", title)


@pytest.mark.parametrize(
    ("page", "place"),
    [
        ("/accounts/2fa/webauthn/", "Two-factor authentication"),
        ("/settings/usage/charges/", "Usage"),
    ],
)
def test_the_account_s_menu_shows_where_one_is(
    alice: User, client: Client, page: str, place: str
) -> None:
    client.force_login(alice)
    content = client.get(page).content.decode()
    assert re.findall(r"aria-current=\"page\">([^<]+)</a>", content) == [place]


@pytest.mark.parametrize(
    ("signup", "verification", "warned"),
    [("open", "optional", True), ("open", "mandatory", False), ("invited", "optional", False)],
)
def test_operators_hear_that_addresses_are_not_proven(
    settings: Any, signup: str, verification: str, warned: bool
) -> None:
    settings.SIGNUP, settings.ACCOUNT_EMAIL_VERIFICATION = signup, verification
    found = run_checks(include_deployment_checks=True)
    assert ("accounts.W001" in [message.id for message in found]) is warned


def test_a_plan_that_somebody_stands_on_stays(alice: User, carol: User, client: Client) -> None:
    plans = "/admin/accounts/plan/"
    used = Plan.objects.create(name="Small", monthly_minutes=10)
    default = Plan.objects.create(name="Free", monthly_minutes=5, is_default=True)
    unused = Plan.objects.create(name="Old")
    User.objects.filter(pk=alice.pk).update(plan=used)
    client.force_login(carol)
    page = client.post(f"{plans}{used.pk}/delete/", {"post": "yes"}).content.decode()
    assert "would require deleting the following protected related objects" in page
    assert alice.email in page
    assert client.post(f"{plans}{default.pk}/delete/", {"post": "yes"}).status_code == 403
    chosen = {"action": "delete_selected", "post": "yes"}
    everything = chosen | {"_selected_action": [used.pk, default.pk, unused.pk]}
    client.post(plans, everything)
    assert Plan.objects.count() == 3
    client.post(plans, chosen | {"_selected_action": [unused.pk]})
    assert set(Plan.objects.all()) == {used, default}
