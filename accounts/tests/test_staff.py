"""What the admin site lets its people do, and what it does not."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.test import Client

from accounts.audit import Action, note
from accounts.ledger import Outcome, UsageRecord
from accounts.models import User

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
        note(None, Action.DELETED, f"The talk of {user}", user_id=user.pk)
        UsageRecord(
            user=user, transcription=RECORDING, outcome=Outcome.FAILED, reason="A test."
        ).write()
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
