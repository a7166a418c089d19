"""The audit log: what is recorded, and that it is never changed."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.account.signals import email_confirmed
from django.contrib.admin.models import LogEntry
from django.db import DatabaseError, transaction
from django.test import Client
from django.utils import timezone

from accounts import audit_log
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


def test_confirmed_email_address_is_not_a_changed_one(alice: User, rf: Any) -> None:
    address = EmailAddress.objects.create(user=alice, email="new@example.com")
    email_confirmed.send(EmailAddress, request=rf.get("/"), email_address=address)
    (event,) = AuditEvent.objects.filter(user=alice)
    assert event.get_action_display() == "Email address confirmed"
    assert event.detail == "new@example.com"


@pytest.mark.covers("attack", "The audit log is changed or emptied")
def test_audit_log_is_append_only(alice: User) -> None:
    AuditEvent.objects.create(user=alice, action=Action.DELETED, detail="Secret plans")
    for change in (
        AuditEvent.objects.all().delete,
        lambda: AuditEvent.objects.update(detail=""),
        lambda: truncate("accounts_auditevent"),
    ):
        with pytest.raises(DatabaseError, match="never changed"), transaction.atomic():
            change()
    with pytest.raises(DatabaseError, match="never changed"), transaction.atomic():
        with audit_log._permitted("transcodio.audit_event_erasure", "on"):
            AuditEvent.objects.update(detail="Other plans")
    assert AuditEvent.objects.get().detail == "Secret plans"


@pytest.mark.covers("fault", "Events of the audit log are older than their retention period")
def test_events_are_deleted_after_the_retention_period(
    alice: User, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_log, "BATCH_ROWS", 2)
    settings.AUDIT_LOG_RETENTION_DAYS = 30
    for days in (29, 31, 32, 33, 34, 35):
        past = timezone.now() - timedelta(days=days)
        AuditEvent.objects.create(user=alice, action=Action.SIGNED_IN, created_at=past)
        LogEntry.objects.create(user=alice, action_flag=1, action_time=past)
    audit_log.delete_expired()
    for moment in (AuditEvent.objects.get().created_at, LogEntry.objects.get().action_time):
        assert (timezone.now() - moment).days == 29
    with pytest.raises(DatabaseError, match="never changed"):
        AuditEvent.objects.all().delete()


def test_events_of_a_deleted_account_keep_only_time_and_action(
    alice: User, bob: User, carol: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_log, "BATCH_ROWS", 2)
    known: dict[str, Any] = {"detail": "By hand", "address": "192.0.2.7", "recording": uuid.uuid4()}
    for _ in range(3):
        AuditEvent.objects.create(user=alice, action=Action.SIGNED_IN, **known)
        AuditEvent.objects.create(user=bob, actor=alice, action=Action.ADMIN, **known)
    AuditEvent.objects.create(user=bob, actor=carol, action=Action.ADMIN, **known)
    alice.delete()
    own = AuditEvent.objects.filter(user=None)
    of_bob = AuditEvent.objects.filter(user=bob, actor=None)
    assert own.count() == of_bob.count() == 3
    for event in (*own, *of_bob):
        assert (event.detail, event.address, event.recording) == ("", None, None)
    pseudonyms = {*own.values_list("pseudonym", flat=True)}
    assert len(pseudonyms) == 1
    assert {*of_bob.values_list("actor_pseudonym", flat=True)} == pseudonyms
    assert AuditEvent.objects.get(actor=carol).detail == "By hand"


def test_activity_page_shows_only_own_events(alice: User, bob: User, client: Client) -> None:
    AuditEvent.objects.create(user=alice, actor=bob, action=Action.DELETED, detail="<b>Plans")
    AuditEvent.objects.create(user=bob, action=Action.DELETED, detail="Of Bob")
    client.force_login(alice)
    page = client.get("/settings/activity/").content.decode()
    assert "Recording deleted" in page
    assert "&lt;b&gt;Plans" in page
    assert "Of Bob" not in page
    assert "By bob@example.com" in page
