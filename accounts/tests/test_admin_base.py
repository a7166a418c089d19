"""The admin site: search, secret fields, permissions, and the audit log."""

from __future__ import annotations

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.utils import encrypt
from allauth.socialaccount.models import SocialAccount
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.test import Client

from accounts.audit_log import record_event
from accounts.models import Action, ApiToken, AuditEvent, Outcome, Plan, UsageRecord, User
from accounts.tests.helpers import events_of
from accounts.tokens import issue_token
from accounts.usage import ledger

PASSWORD = "correct horse battery staple"
TRANSCRIPTION_ID = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def superuser(carol: User, client: Client) -> Client:
    client.force_login(carol)
    return client


def result_count(client: Client, page: str, query: str) -> int:
    response = client.get(f"/admin/{page}/", {"q": query})
    assert response.status_code == 200
    return int(response.context["cl"].result_count)


def test_search_works_on_every_admin_page(superuser: Client) -> None:
    models = [m._meta for m, page in admin.site._registry.items() if page.search_fields]
    for model in models:
        for query in ("x", "7", "9" * 30, TRANSCRIPTION_ID, "192.0.2.7", "alice@example.com"):
            result_count(superuser, f"{model.app_label}/{model.model_name}", query)
    assert {"usagerecord", "auditevent", "usersession"} <= {m.model_name for m in models}


def test_ledger_and_audit_log_are_searched_by_user(
    superuser: Client, alice: User, bob: User
) -> None:
    for user in (alice, bob):
        record_event(None, Action.DELETED, f"The talk of {user}", user_id=user.pk)
        record = UsageRecord(
            user=user, transcription=TRANSCRIPTION_ID, outcome=Outcome.FAILED, reason="A test."
        )
        ledger.write_record(record)
    user_id = str(alice.pk)
    assert result_count(superuser, "accounts/auditevent", "alice@example.com") == 1
    alice.delete()  # her charges remain and can be found
    assert result_count(superuser, "accounts/usagerecord", user_id) == 1
    assert result_count(superuser, "accounts/usagerecord", TRANSCRIPTION_ID) == 2
    assert result_count(superuser, "accounts/auditevent", str(bob.pk)) == 1
    assert result_count(superuser, "accounts/auditevent", "alice@example.com") == 0


@pytest.mark.covers("attack", "Staff search for the keys of sessions")
def test_session_is_found_by_email_and_its_key_stays_secret(superuser: Client, alice: User) -> None:
    browser = Client()
    browser.post("/accounts/login/", {"login": alice.email, "password": "correct horse battery"})
    page, key = "usersessions/usersession", browser.session.session_key or ""
    assert result_count(superuser, page, "alice@") == 1
    response = superuser.get(f"/admin/{page}/", {"session_key__startswith": key[0]})
    assert response.status_code == 400
    assert key not in superuser.get(f"/admin/{page}/").content.decode()


@pytest.mark.covers("attack", "Staff look up secrets of second factors")
def test_second_factors_are_not_shown_in_the_admin_site(alice: User, carol: User) -> None:
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
    assert not Authenticator.objects.exists()  # for users who have lost it


@pytest.mark.covers("attack", "Staff give themselves access to the account of a superuser")
@pytest.mark.parametrize(
    "model", ["auth.group", "account.emailaddress", "socialaccount.socialaccount"]
)
def test_only_superusers_change_emails_connections_and_groups(carol: User, model: str) -> None:
    staff = User.objects.create_user("clerk@example.com", "x", is_staff=True)
    staff.user_permissions.set(Permission.objects.all())
    EmailAddress.objects.create(user=carol, email=carol.email)
    SocialAccount.objects.create(user=carol, provider="google", uid="1")
    Group.objects.create(name="Clerks")
    obj = apps.get_model(model).objects.get()
    for user, add, change in ((staff, 403, 200), (carol, 200, 200)):
        client = Client()
        client.force_login(user)
        url = f"/admin/{model.replace('.', '/')}/"
        assert client.get(f"{url}add/").status_code == add
        assert client.get(f"{url}{obj.pk}/change/").status_code == change
        saved = client.post(f"{url}{obj.pk}/change/", {}).status_code
        assert saved == (200 if user == carol else 403)  # 200: the form with errors


def test_admin_change_is_in_the_audit_log_of_the_user(
    alice: User, carol: User, client: Client
) -> None:
    plan = Plan.objects.create(name="Studio")
    client.force_login(carol)
    url = f"/admin/accounts/user/{alice.pk}/change/"
    fields = {"email": alice.email, "plan": plan.pk, "is_active": "on", "password": "x"}
    assert client.post(url, fields).status_code == 302
    ((action, detail),) = events_of(alice)
    assert action == Action.ADMIN
    assert detail.startswith("Changed “alice@example.com”")
    assert AuditEvent.objects.get(user=alice).actor == carol
    assert LogEntry.objects.get().object_repr == str(alice.pk)


def test_admin_deletion_is_in_the_audit_log_of_the_owner(
    alice: User, bob: User, carol: User, client: Client
) -> None:
    tokens = [issue_token(user, f"Of {user}")[0] for user in (alice, alice, bob)]
    client.force_login(carol)
    selection = {"action": "delete_selected", "post": "yes"}
    token_of_bob = tokens.pop()
    assert client.post(f"/admin/accounts/apitoken/{token_of_bob.pk}/delete/", {"post": "yes"})
    ids = [token.pk for token in tokens]
    client.post("/admin/accounts/apitoken/", selection | {"_selected_action": ids})
    client.post("/admin/accounts/user/", selection | {"_selected_action": [alice.pk, bob.pk]})
    assert not ApiToken.objects.exists()
    expected = {f"Deleted API token “{token}”." for token in tokens}
    events = {user: [e for e in events_of(user) if e[0] == Action.ADMIN] for user in (alice, bob)}
    assert {detail for _, detail in events[alice][:2]} == expected
    assert [len(entries) for entries in events.values()] == [3, 2]
    assert events_of(alice)[-2:] == [
        (Action.ADMIN, "Deleted user “alice@example.com”."),
        (Action.ACCOUNT_DELETED, ""),
    ]
    assert {e.address for e in AuditEvent.objects.filter(action=Action.ADMIN)} == {"127.0.0.1"}


def test_admin_pages_of_libraries_write_the_audit_log(
    alice: User, carol: User, client: Client
) -> None:
    for factor in (Authenticator.Type.TOTP, Authenticator.Type.RECOVERY_CODES):
        Authenticator.objects.create(user=alice, type=factor, data={})
    ids = list(Authenticator.objects.values_list("pk", flat=True))
    client.force_login(carol)
    form = {"action": "delete_selected", "post": "yes", "_selected_action": ids}
    client.post("/admin/mfa/authenticator/", form)
    assert not Authenticator.objects.exists()
    assert {detail for _, detail in events_of(alice)} == {
        "Deleted authenticator “Authenticator app”.",
        "Deleted authenticator “Recovery codes”.",
    }
    client.post("/admin/auth/group/add/", {"name": "Clerks"})
    assert events_of(carol)[-1] == (Action.ADMIN, "Added “Clerks”.")
    addresses = AuditEvent.objects.filter(action=Action.ADMIN).values_list("address", flat=True)
    assert list(addresses) == ["127.0.0.1"] * 3


def test_email_of_a_new_user_is_stored_in_lower_case(superuser: Client, alice: User) -> None:
    password = {"usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
    EmailAddress.objects.create(user=alice, email="alice@work.example", verified=True)
    for taken in ("Alice@Example.com", "Alice@Work.example"):
        page = superuser.post("/admin/accounts/user/add/", {"email": taken} | password)
        assert page.context["errors"]
    data = {"email": "Anna.Smith@Example.com"} | password
    assert superuser.post("/admin/accounts/user/add/", data).status_code == 302
    browser = Client()
    sign_in = {"login": "Anna.Smith@Example.com", "password": PASSWORD}
    browser.post("/accounts/login/", sign_in)
    assert browser.session["_auth_user_id"] == str(User.objects.get(email__startswith="anna").pk)


def test_changed_email_replaces_all_addresses(superuser: Client, alice: User, bob: User) -> None:
    url = f"/admin/accounts/user/{alice.pk}/change/"
    for address in (alice.email, "alice@work.example"):
        EmailAddress.objects.create(user=alice, email=address, verified=True)
    EmailAddress.objects.create(user=bob, email=bob.email, verified=True)
    assert superuser.post(url, {"email": "ALICE@example.com", "is_active": "on"}).status_code == 302
    assert EmailAddress.objects.filter(user=alice, verified=True).count() == 2  # no change
    assert superuser.post(url, {"email": "New@example.com", "is_active": "on"}).status_code == 302
    address = EmailAddress.objects.get(user=alice)
    assert (address.email, address.primary, address.verified) == ("new@example.com", True, False)
    assert EmailAddress.objects.get(user=bob).verified


@pytest.mark.covers("attack", "Staff take over the account of a user")
def test_only_superusers_change_addresses_and_passwords_of_users(carol: User, alice: User) -> None:
    staff = User.objects.create_user("clerk@example.com", "x", is_staff=True)
    staff.user_permissions.set(Permission.objects.all())
    url = f"/admin/accounts/user/{alice.pk}"
    for user, status, email in ((staff, 403, alice.email), (carol, 200, "new@example.com")):
        client = Client()
        client.force_login(user)
        assert client.get(f"{url}/password/").status_code == status
        has_link = "../password/" in client.get(f"{url}/change/").content.decode()
        assert has_link == (user == carol)
        changes = {"email": "new@example.com", "first_name": "Alice", "is_active": "on"}
        assert client.post(f"{url}/change/", changes).status_code == 302
        alice.refresh_from_db()
        assert (alice.email, alice.first_name) == (email, "Alice")
