"""Sessions and invitations after an account or a session is deleted."""

from __future__ import annotations

from datetime import timedelta

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from accounts import invitations
from accounts.account_deletion import delete_expired_sessions, finish, request_deletion
from accounts.models import AccountDeletion, Invitation, User
from accounts.tokens import issue_token

PASSWORD = "correct horse battery"
DELETE = "/settings/data/delete-account/"


@pytest.fixture
def browsers(alice: User) -> list[Client]:
    """Two browsers in which Alice is signed in."""
    clients = [Client(), Client()]
    for browser in clients:
        browser.post("/accounts/login/", {"login": alice.email, "password": PASSWORD})
        assert browser.get("/settings/tokens/").status_code == 200
    return clients


def test_account_deletion_deletes_sessions_and_invitation(
    alice: User, carol: User, browsers: list[Client]
) -> None:
    for email in (alice.email, "dora@example.com"):
        Invitation.objects.create(email=email, invited_by=carol, accepted_at=timezone.now())
    unfinished, other = SessionStore(), SessionStore()
    unfinished["account_login"] = {"email": alice.email}
    other["account_login"] = {"email": f"m{alice.email}"}
    for session in (unfinished, other):
        session.save()
    browsers[0].post(DELETE, {"proof": PASSWORD})
    finish(alice.pk, notify=False)
    assert not User.objects.filter(pk=alice.pk).exists()
    assert Session.objects.get().session_key == other.session_key
    assert Invitation.objects.get().email == "dora@example.com"


@pytest.mark.covers("attack", "A session, a token or a password is used after account deletion")
def test_sessions_and_tokens_are_refused_as_soon_as_deletion_is_requested(
    alice: User, browsers: list[Client]
) -> None:
    program = Client(headers={"Authorization": f"Bearer {issue_token(alice)[1]}"})
    assert program.get("/api/transcriptions").status_code == 200
    page = browsers[0].post(DELETE, {"proof": PASSWORD}, follow=True).content.decode()
    assert "Your account is being deleted. You are signed out on all devices." in page
    assert User.objects.get() == alice  # no worker has started on it
    assert AccountDeletion.objects.get().user == alice
    new = Client()
    new.post("/accounts/login/", {"login": alice.email, "password": PASSWORD})
    for browser in (*browsers, new):
        assert browser.get("/settings/tokens/").status_code == 302
    assert program.get("/api/transcriptions").status_code == 401


def test_same_address_can_sign_up_after_the_deletion(alice: User, client: Client) -> None:
    request_deletion(alice)
    form = {"email": alice.email, "password1": PASSWORD, "password2": PASSWORD}
    client.post("/accounts/signup/", form)
    assert client.get("/settings/tokens/").status_code == 302
    finish(alice.pk, notify=False)
    client.post("/accounts/signup/", form)
    assert client.get("/settings/tokens/").status_code == 200
    assert User.objects.get().pk != alice.pk


def test_old_invitations_are_deleted(carol: User) -> None:
    now = timezone.now()
    for number, (sent, accepted) in enumerate([(31, None), (29, None), (60, 31), (60, 29)]):
        Invitation.objects.create(
            email=f"{number}@example.com",
            created_at=now - timedelta(days=sent),
            accepted_at=None if accepted is None else now - timedelta(days=accepted),
        )
    invitations.delete_old()
    emails = Invitation.objects.order_by("email").values_list("email", flat=True)
    assert list(emails) == ["1@example.com", "3@example.com"]


def test_deleting_a_listed_session_signs_out_the_browser(
    carol: User, browsers: list[Client]
) -> None:
    superuser = Client()
    superuser.force_login(carol)
    row = UserSession.objects.get(session_key=browsers[0].session.session_key)
    superuser.post(f"/admin/usersessions/usersession/{row.pk}/delete/", {"post": "yes"})
    statuses = [browser.get("/settings/tokens/").status_code for browser in browsers]
    assert statuses == [302, 200]


def test_expired_sessions_are_deleted(alice: User, browsers: list[Client]) -> None:
    expired = Session.objects.filter(session_key=browsers[0].session.session_key)
    expired.update(expire_date=timezone.now() - timedelta(seconds=1))
    delete_expired_sessions()
    active = browsers[1].session.session_key
    assert Session.objects.get().session_key == UserSession.objects.get().session_key == active
