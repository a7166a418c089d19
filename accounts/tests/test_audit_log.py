"""The audit log: what is recorded, and that it is never changed."""

from __future__ import annotations

import re

import pytest
from allauth.account.models import EmailAddress
from django.db import DatabaseError, transaction
from django.test import Client

from accounts.models import Action, AuditEvent, User
from accounts.tests.helpers import PASSWORD, events_of, totp_code
from accounts.tokens import issue_token
from accounts.usage.tests.helpers import truncate


def test_sign_ins_are_recorded_with_the_ip_address(alice: User, client: Client) -> None:
    page = "/accounts/login/"
    client.post(page, {"login": alice.email, "password": "wrong"}, REMOTE_ADDR="192.0.2.7")
    client.post(page, {"login": alice.email, "password": "correct horse battery"})
    assert events_of(alice) == [(Action.SIGN_IN_FAILED, ""), (Action.SIGNED_IN, "")]
    first, second = AuditEvent.objects.order_by("id")
    assert (first.address, second.address) == ("192.0.2.7", "127.0.0.1")
    client.post(page, {"login": "nobody@example.com", "password": "wrong"})
    assert AuditEvent.objects.count() == 2


def test_token_events_are_recorded_with_the_ip_address(alice: User) -> None:
    browser = Client()
    browser.force_login(alice)
    browser.post("/settings/tokens/", {"name": "Laptop", "scopes": ["transcriptions:read"]})
    row, secret = issue_token(alice, "Server")
    program = Client(headers={"Authorization": f"Bearer {secret}"})
    for address in ("192.0.2.7", "192.0.2.8", "192.0.2.7", "192.0.2.8"):
        program.get("/api/transcriptions", REMOTE_ADDR=address)
    browser.post(f"/settings/tokens/{row.pk}/revoke/")
    events = AuditEvent.objects.filter(user=alice).order_by("id")
    assert [(event.action, event.address) for event in events] == [
        ("signed_in", None),
        ("token_created", "127.0.0.1"),  # on the settings page
        ("token_created", None),  # on the command line
        ("token_new_address", "192.0.2.7"),
        ("token_new_address", "192.0.2.8"),
        ("token_revoked", "127.0.0.1"),
    ]


@pytest.mark.django_db(transaction=True)  # allauth sends the signals of second factors after commit
def test_security_settings_are_recorded(alice: User, client: Client) -> None:
    old, new, factors = PASSWORD, "another horse", "/accounts/2fa/"
    client.post("/accounts/login/", {"login": alice.email, "password": old})
    form = {"oldpassword": old, "password1": new, "password2": new}
    client.post("/accounts/password/change/", form)
    client.post("/accounts/reauthenticate/", {"password": new})
    page = client.get(f"{factors}totp/activate/").content.decode()
    (secret,) = re.findall(r'value="([A-Z2-7]{32})"', page)
    client.post(f"{factors}totp/activate/", {"code": totp_code(secret)})
    client.post(f"{factors}recovery-codes/generate/")
    EmailAddress.objects.create(user=alice, email="old@example.com", verified=True)
    client.post("/accounts/email/", {"action_remove": "", "email": "old@example.com"})
    other = Client()
    other.post("/accounts/login/", {"login": alice.email, "password": new})
    other.post(f"{factors}authenticate/", {"code": "000000"})
    client.post(f"{factors}totp/deactivate/")
    assert events_of(alice)[1:] == [
        (Action.PASSWORD, ""),
        (Action.MFA_CHANGED, "Added: Authenticator app"),
        (Action.MFA_CHANGED, "Added: Recovery codes"),
        (Action.MFA_CHANGED, "Generated again: Recovery codes"),
        (Action.EMAIL, "Removed: old@example.com"),
        (Action.SIGN_IN_FAILED, "Incorrect code"),
        (Action.MFA_CHANGED, "Removed: Authenticator app"),
        (Action.MFA_CHANGED, "Removed: Recovery codes"),
    ]


def test_audit_log_is_append_only_and_outlives_the_account(alice: User) -> None:
    AuditEvent.objects.create(user=alice, action=Action.DELETED, detail="Secret plans")
    for change in (
        AuditEvent.objects.all().delete,
        lambda: AuditEvent.objects.update(detail=""),
        lambda: truncate("accounts_auditevent"),
    ):
        with pytest.raises(DatabaseError, match="never changed"), transaction.atomic():
            change()
    alice.delete()
    assert AuditEvent.objects.get().detail == "Secret plans"


def test_activity_page_shows_only_own_events(alice: User, bob: User, client: Client) -> None:
    AuditEvent.objects.create(user=alice, action=Action.DELETED, detail="<b>Plans")
    AuditEvent.objects.create(user=bob, action=Action.DELETED, detail="Of Bob")
    client.force_login(alice)
    page = client.get("/settings/activity/").content.decode()
    assert "Recording deleted" in page
    assert "&lt;b&gt;Plans" in page
    assert "Of Bob" not in page
