"""Sessions and invitations after an account or a session is deleted."""

from __future__ import annotations

from datetime import timedelta

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from accounts.account_deletion import delete_expired_sessions
from accounts.models import Invitation, User

PASSWORD = "correct horse battery"


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
    browsers[0].post("/settings/data/delete-account/", {"proof": PASSWORD})
    assert not User.objects.filter(pk=alice.pk).exists()
    assert not any(alice.email in str(s.get_decoded()) for s in Session.objects.all())
    assert Invitation.objects.get().email == "dora@example.com"


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
