"""What the admin site lets its people do, and what it does not."""

from __future__ import annotations

import pytest
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.test import Client

from accounts.audit_log import record_event
from accounts.models import Action, Outcome, UsageRecord, User
from accounts.usage import ledger

RECORDING = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def root(carol: User, client: Client) -> Client:
    client.force_login(carol)
    return client


def found(client: Client, page: str, words: str) -> int:
    answer = client.get(f"/admin/{page}/", {"q": words})
    assert answer.status_code == 200
    return int(answer.context["cl"].result_count)


def test_every_search_box_can_be_used(root: Client) -> None:
    searched = [m._meta for m, page in admin.site._registry.items() if page.search_fields]
    for model in searched:
        for words in ("x", "7", "9" * 30, RECORDING, "192.0.2.7", "alice@example.com"):
            found(root, f"{model.app_label}/{model.model_name}", words)
    assert {"usagerecord", "auditevent", "usersession"} <= {m.model_name for m in searched}


def test_the_ledger_and_the_log_are_searched_by_whom_they_concern(
    root: Client, alice: User, bob: User
) -> None:
    for user in (alice, bob):
        record_event(None, Action.DELETED, f"The talk of {user}", user_id=user.pk)
        record = UsageRecord(
            user=user, transcription=RECORDING, outcome=Outcome.FAILED, reason="A test."
        )
        ledger.write_record(record)
    number = str(alice.pk)
    alice.delete()  # what is written of her stays, and can be found
    assert found(root, "accounts/usagerecord", number) == 1
    assert found(root, "accounts/usagerecord", RECORDING) == 2
    assert found(root, "accounts/auditevent", str(bob.pk)) == 1
    assert found(root, "accounts/auditevent", "alice@example.com") == 1


def test_a_session_of_somebody_else_is_found_and_not_guessed(root: Client, alice: User) -> None:
    browser = Client()
    browser.post("/accounts/login/", {"login": alice.email, "password": "correct horse battery"})
    page, key = "usersessions/usersession", browser.session.session_key or ""
    assert found(root, page, "alice@") == 1
    answer = root.get(f"/admin/{page}/", {"session_key__startswith": key[0]})
    assert answer.status_code == 400
    assert key not in root.get(f"/admin/{page}/").content.decode()


USERS = "/admin/accounts/user/"
RIGHTS = {"is_active": "on", "is_staff": "on", "is_superuser": "on"}


@pytest.fixture
def clerk(db: None) -> User:
    """She looks after people's plans."""
    user = User.objects.create_user("clerk@example.com", "x", is_staff=True)
    may = Permission.objects.filter(content_type__app_label="accounts", codename__endswith="_user")
    user.user_permissions.set(may)
    return user


def filled(user: User) -> dict[str, str]:
    """The form of an account, with all rights in it."""
    joined = user.date_joined
    dates = {"date_joined_0": f"{joined:%Y-%m-%d}", "date_joined_1": f"{joined:%H:%M:%S}"}
    return {"email": user.email, "password": "x", **RIGHTS, **dates}


def test_who_changes_accounts_gives_no_rights(clerk: User, alice: User, carol: User) -> None:
    client, boss = Client(), Client()
    client.force_login(clerk)
    boss.force_login(carol)
    url = f"{USERS}{alice.pk}/change/"
    for who, given in ((client, False), (boss, True)):
        assert who.post(url, filled(alice)).status_code == 302
        alice.refresh_from_db()
        assert (alice.is_staff, alice.is_superuser) == (given, given)


def test_nor_reaches_accounts_that_have_some(clerk: User, carol: User) -> None:
    client = Client()
    client.force_login(clerk)
    for user in (clerk, carol):
        for page in ("change", "password", "delete"):
            form = {"post": "yes", "password1": "anew and anew", "password2": "anew and anew"}
            answer = client.post(f"{USERS}{user.pk}/{page}/", filled(user) | form)
            assert answer.status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": [carol.pk], "post": "yes"}
    assert client.post(USERS, chosen).status_code == 403
    carol.refresh_from_db()
    assert carol.check_password("correct horse battery")
    assert not User.objects.get(pk=clerk.pk).is_superuser


@pytest.mark.parametrize(
    "model", ["auth.group", "account.emailaddress", "socialaccount.socialaccount"]
)
def test_nor_takes_the_way_around(clerk: User, carol: User, model: str) -> None:
    clerk.user_permissions.set(Permission.objects.all())
    EmailAddress.objects.create(user=carol, email=carol.email)
    SocialAccount.objects.create(user=carol, provider="google", uid="1")
    Group.objects.create(name="Clerks")
    thing = apps.get_model(model).objects.get()
    for who, add, change in ((clerk, 403, 200), (carol, 200, 200)):
        client = Client()
        client.force_login(who)
        place = f"/admin/{model.replace('.', '/')}/"
        assert client.get(f"{place}add/").status_code == add
        assert client.get(f"{place}{thing.pk}/change/").status_code == change
        saved = client.post(f"{place}{thing.pk}/change/", {}).status_code
        assert saved == (200 if who == carol else 403)  # with what is missing, or not at all
