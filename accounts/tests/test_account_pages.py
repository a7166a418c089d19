"""Account pages: recovery codes, email addresses, sessions and password reset."""

from __future__ import annotations

import re
import time

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from django.test import Client

from accounts.models import User

PASSWORD = "correct horse battery"
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/131.0 Safari/537.36"


@pytest.fixture
def browser(alice: User) -> Client:
    """A client in which Alice has just signed in with her password."""
    client = Client(headers={"User-Agent": CHROME})
    client.post("/accounts/login/", {"login": alice.email, "password": PASSWORD})
    return client


def activate_authenticator_app(browser: Client) -> None:
    browser.post("/accounts/reauthenticate/", {"password": PASSWORD})
    page = browser.get("/accounts/2fa/totp/activate/").content.decode()
    (secret,) = re.findall(r'value="([A-Z2-7]{32})"', page)
    code = totp.format_hotp_value(totp.hotp_value(secret, int(time.time()) // 30))
    browser.post("/accounts/2fa/totp/activate/", {"code": code})


def test_recovery_codes_are_shown(alice: User, browser: Client) -> None:
    activate_authenticator_app(browser)
    page = browser.get("/accounts/2fa/recovery-codes/").content.decode()
    (shown,) = re.findall(r'<textarea id="recovery_codes"[^>]*>([^<]*)</textarea>', page)
    row = Authenticator.objects.get(user=alice, type=Authenticator.Type.RECOVERY_CODES)
    codes = RecoveryCodes(row).get_unused_codes()
    assert shown.split("\n") == codes
    assert len(codes) == 10


def test_actions_fit_the_email_address(alice: User, browser: Client) -> None:
    def actions() -> list[set[str]]:
        page = browser.get("/accounts/email/").content.decode()
        rows = page.split('<li class="token">')[1:]
        found = r'name="action_(primary|send)"|/email/\d+/(remove)/'
        return [{a or b for a, b in re.findall(found, row)} for row in rows]

    EmailAddress.objects.create(user=alice, email=alice.email, primary=True, verified=True)
    assert actions() == [set()]
    second = EmailAddress.objects.create(user=alice, email="alice@work.example")
    assert actions() == [set(), {"send", "remove"}]
    EmailAddress.objects.filter(pk=second.pk).update(verified=True)
    assert actions() == [set(), {"primary", "remove"}]
    browser.post("/accounts/email/", {"action_primary": "", "email": second.email})
    assert EmailAddress.objects.get(primary=True) == second


def test_address_is_removed_after_a_question(alice: User, bob: User, browser: Client) -> None:
    EmailAddress.objects.create(user=alice, email=alice.email, primary=True, verified=True)
    row = EmailAddress.objects.create(user=alice, email="alice@work.example", verified=True)
    question = browser.get(f"/accounts/email/{row.pk}/remove/").content.decode()
    form = dict(re.findall(r'type="hidden" name="(action_remove|email)" value="(.*?)"', question))
    assert form == {"action_remove": "", "email": row.email}
    assert 'action="/accounts/email/"' in question
    browser.post("/accounts/email/", form)
    assert not EmailAddress.objects.filter(pk=row.pk).exists()
    primary = EmailAddress.objects.get(user=alice)
    others = EmailAddress.objects.create(user=bob, email="bob@work.example")
    for address in (primary, others):
        assert browser.get(f"/accounts/email/{address.pk}/remove/").status_code == 404


def test_other_sessions_end_after_a_question(alice: User, browser: Client) -> None:
    assert "/accounts/sessions/end/" not in browser.get("/accounts/sessions/").content.decode()
    other = Client()
    other.post("/accounts/login/", {"login": alice.email, "password": PASSWORD})
    assert "/accounts/sessions/end/" in browser.get("/accounts/sessions/").content.decode()
    question = browser.get("/accounts/sessions/end/").content.decode()
    assert 'action="/accounts/sessions/"' in question
    assert other.get("/settings/usage/").status_code == 200
    browser.post("/accounts/sessions/")
    assert other.get("/settings/usage/").status_code == 302
    assert browser.get("/settings/usage/").status_code == 200


def test_sessions_name_the_browser(browser: Client) -> None:
    page = browser.get("/accounts/sessions/").content.decode()
    assert f'<strong title="{CHROME}">Chrome on Linux</strong>' in page
    assert "This device" in page


@pytest.mark.parametrize("page", ["", "done/"])
def test_password_reset_promises_no_contact(db: None, client: Client, page: str) -> None:
    content = client.get(f"/accounts/password/reset/{page}").content.decode()
    assert "contact us" not in content
