"""What is left when somebody goes: a ledger and a log that know them by number."""

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
    """Two of hers."""
    found = [Client(), Client()]
    for browser in found:
        browser.post("/accounts/login/", {"login": alice.email, "password": PASSWORD})
        assert browser.get("/settings/tokens/").status_code == 200
    return found


def test_no_session_and_no_invitation_outlives_an_account(
    alice: User, carol: User, browsers: list[Client]
) -> None:
    for email in (alice.email, "dora@example.com"):
        Invitation.objects.create(email=email, invited_by=carol, accepted_at=timezone.now())
    browsers[0].post("/settings/data/delete-account/", {"proof": PASSWORD})
    assert not User.objects.filter(pk=alice.pk).exists()
    assert not any(alice.email in str(s.get_decoded()) for s in Session.objects.all())
    assert Invitation.objects.get().email == "dora@example.com"


def test_who_is_taken_off_the_list_is_signed_out(carol: User, browsers: list[Client]) -> None:
    root = Client()
    root.force_login(carol)
    row = UserSession.objects.get(session_key=browsers[0].session.session_key)
    root.post(f"/admin/usersessions/usersession/{row.pk}/delete/", {"post": "yes"})
    answers = [browser.get("/settings/tokens/").status_code for browser in browsers]
    assert answers == [302, 200]


def test_sessions_that_are_over_are_forgotten(alice: User, browsers: list[Client]) -> None:
    over = Session.objects.filter(session_key=browsers[0].session.session_key)
    over.update(expire_date=timezone.now() - timedelta(seconds=1))
    delete_expired_sessions()
    kept = browsers[1].session.session_key
    assert Session.objects.get().session_key == UserSession.objects.get().session_key == kept
