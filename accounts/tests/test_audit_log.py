"""What was done in the name of an account is written down, and stays."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from django.db import DatabaseError, transaction
from django.test import Client

from accounts.models import Action, ApiToken, AuditEvent, Plan, User
from accounts.tokens import issue_token
from accounts.usage.tests.test_ledger import truncate


def told(user: User) -> list[tuple[str, str]]:
    """Oldest first."""
    events = AuditEvent.objects.filter(user_id=user.pk).order_by("id")
    return [(event.action, event.detail) for event in events]


def test_sign_ins_are_told_with_their_address(alice: User, client: Client) -> None:
    page = "/accounts/login/"
    client.post(page, {"login": alice.email, "password": "wrong"}, REMOTE_ADDR="192.0.2.7")
    client.post(page, {"login": alice.email, "password": "correct horse battery"})
    assert told(alice) == [(Action.SIGN_IN_FAILED, ""), (Action.SIGNED_IN, "")]
    first, second = AuditEvent.objects.order_by("id")
    assert (first.address, second.address) == ("192.0.2.7", "127.0.0.1")
    client.post(page, {"login": "nobody@example.com", "password": "wrong"})
    assert AuditEvent.objects.count() == 2


@pytest.mark.parametrize(
    ("proxies", "told_by_proxies", "address"),
    [
        (0, "203.0.113.9", "192.0.2.7"),  # anybody can write that
        (1, "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        (2, "198.51.100.1, 203.0.113.9, 10.0.0.1", "203.0.113.9"),
        (1, "[2001:db8::1]:443", "2001:db8::1"),
        (1, "::ffff:203.0.113.9", "203.0.113.9"),
        (1, "", "192.0.2.7"),
        (1, "not an address", None),
        (2, "203.0.113.9", "192.0.2.7"),  # it came through fewer than we trust
    ],
)
def test_the_client_is_who_the_trusted_proxies_saw(
    alice: User, settings: Any, proxies: int, told_by_proxies: str, address: str | None
) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = proxies
    row, secret = issue_token(alice, "Server")
    headers = {"Authorization": f"Bearer {secret}"}
    if told_by_proxies:
        headers["X-Forwarded-For"] = told_by_proxies
    Client(headers=headers, REMOTE_ADDR="192.0.2.7").get("/api/transcriptions")
    row.refresh_from_db()
    assert row.last_used_address == address


def test_tokens_are_told_when_they_are_made_moved_and_revoked(alice: User) -> None:
    browser = Client()
    browser.force_login(alice)
    browser.post("/settings/tokens/", {"name": "Laptop", "scopes": ["transcriptions:read"]})
    row, secret = issue_token(alice, "Server")
    program = Client(headers={"Authorization": f"Bearer {secret}"})
    for address in ("192.0.2.7", "192.0.2.8", "192.0.2.7", "192.0.2.8"):
        program.get("/api/transcriptions", REMOTE_ADDR=address)
    browser.post(f"/settings/tokens/{row.pk}/revoke/")
    here, first, second = "127.0.0.1", "192.0.2.7", "192.0.2.8"
    events = AuditEvent.objects.filter(user=alice).order_by("id")
    assert [(event.action, event.address) for event in events] == [
        ("signed_in", None),
        ("token_created", here),  # on the page
        ("token_created", None),  # at the machine
        ("token_new_address", first),
        ("token_new_address", second),
        ("token_revoked", here),
    ]


def test_what_the_administration_changes_is_told_to_whom_it_concerns(
    alice: User, carol: User, client: Client
) -> None:
    plan = Plan.objects.create(name="Studio")
    client.force_login(carol)
    url = f"/admin/accounts/user/{alice.pk}/change/"
    form: dict[str, Any] = client.get(url).context["adminform"].form.initial
    fields = {"email": alice.email, "plan": plan.pk, "is_active": "on", "password": "x"}
    joined = form["date_joined"]
    fields |= {"date_joined_0": f"{joined:%Y-%m-%d}", "date_joined_1": f"{joined:%H:%M:%S}"}
    assert client.post(url, fields).status_code == 302
    ((action, detail),) = told(alice)
    assert action == Action.ADMIN
    assert detail.startswith("carol@example.com: Changed")


def test_what_the_administration_deletes_is_told_to_whom_it_was(
    alice: User, bob: User, carol: User, client: Client
) -> None:
    tokens = [issue_token(user, f"Of {user}")[0] for user in (alice, alice, bob)]
    client.force_login(carol)
    chosen = {"action": "delete_selected", "post": "yes"}
    of_bob = tokens.pop()
    assert client.post(f"/admin/accounts/apitoken/{of_bob.pk}/delete/", {"post": "yes"})
    ids = [token.pk for token in tokens]
    client.post("/admin/accounts/apitoken/", chosen | {"_selected_action": ids})
    client.post("/admin/accounts/user/", chosen | {"_selected_action": [alice.pk, bob.pk]})
    assert not ApiToken.objects.exists()
    said = {f"carol@example.com: Deleted API token “{token}”." for token in tokens}
    heard = {user: [e for e in told(user) if e[0] == Action.ADMIN] for user in (alice, bob)}
    assert {detail for _, detail in heard[alice][:2]} == said
    assert [len(events) for events in heard.values()] == [3, 2]
    assert told(alice)[-1] == (
        Action.ADMIN,
        "carol@example.com: Deleted user “alice@example.com”.",
    )
    assert {e.address for e in AuditEvent.objects.filter(action=Action.ADMIN)} == {"127.0.0.1"}


def test_no_page_of_the_admin_site_is_silent(alice: User, carol: User, client: Client) -> None:
    for type in (Authenticator.Type.TOTP, Authenticator.Type.RECOVERY_CODES):
        Authenticator.objects.create(user=alice, type=type, data={})
    ids = list(Authenticator.objects.values_list("pk", flat=True))
    client.force_login(carol)
    form = {"action": "delete_selected", "post": "yes", "_selected_action": ids}
    client.post("/admin/mfa/authenticator/", form)
    assert not Authenticator.objects.exists()
    assert {detail for _, detail in told(alice)} == {
        "carol@example.com: Deleted authenticator “TOTP Authenticator”.",
        "carol@example.com: Deleted authenticator “Recovery codes”.",
    }
    client.post("/admin/auth/group/add/", {"name": "Clerks"})
    assert told(carol)[-1] == (Action.ADMIN, "carol@example.com: Added “Clerks”.")
    addresses = AuditEvent.objects.filter(action=Action.ADMIN).values_list("address", flat=True)
    assert list(addresses) == ["127.0.0.1"] * 3


@pytest.mark.django_db(transaction=True)  # allauth tells of second factors after commit
def test_what_makes_an_account_safe_or_not_is_told(alice: User, client: Client) -> None:
    right, new, factors = "correct horse battery", "another horse", "/accounts/2fa/"
    client.post("/accounts/login/", {"login": alice.email, "password": right})
    form = {"oldpassword": right, "password1": new, "password2": new}
    client.post("/accounts/password/change/", form)
    client.post("/accounts/reauthenticate/", {"password": new})
    page = client.get(f"{factors}totp/activate/").content.decode()
    (secret,) = re.findall(r'value="([A-Z2-7]{32})"', page)
    code = totp.format_hotp_value(totp.hotp_value(secret, int(time.time()) // 30))
    client.post(f"{factors}totp/activate/", {"code": code})
    client.post(f"{factors}recovery-codes/generate/")
    EmailAddress.objects.create(user=alice, email="old@example.com", verified=True)
    client.post("/accounts/email/", {"action_remove": "", "email": "old@example.com"})
    other = Client()
    other.post("/accounts/login/", {"login": alice.email, "password": new})
    other.post(f"{factors}authenticate/", {"code": "000000"})
    client.post(f"{factors}totp/deactivate/")
    assert told(alice)[1:] == [
        (Action.PASSWORD, ""),
        (Action.MFA_CHANGED, "Added: TOTP Authenticator"),
        (Action.MFA_CHANGED, "Added: Recovery codes"),
        (Action.MFA_CHANGED, "Made anew: Recovery codes"),
        (Action.EMAIL, "Removed old@example.com"),
        (Action.SIGN_IN_FAILED, "A wrong code"),
        (Action.MFA_CHANGED, "Removed: TOTP Authenticator"),
        (Action.MFA_CHANGED, "Removed: Recovery codes"),
    ]


def test_the_log_only_grows_and_outlives_the_account(alice: User) -> None:
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


def test_its_owner_reads_it(alice: User, bob: User, client: Client) -> None:
    AuditEvent.objects.create(user=alice, action=Action.DELETED, detail="<b>Plans")
    AuditEvent.objects.create(user=bob, action=Action.DELETED, detail="Of Bob")
    client.force_login(alice)
    page = client.get("/settings/activity/").content.decode()
    assert "Recording deleted" in page
    assert "&lt;b&gt;Plans" in page
    assert "Of Bob" not in page
