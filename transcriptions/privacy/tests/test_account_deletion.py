"""Deleting one's account: the confirmation, and what is deleted with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.db.models.signals import post_save
from django.test import Client

from accounts.models import ApiToken, AuditEvent, UsageRecord, User
from accounts.tokens import issue_token
from transcriptions.models import Transcription
from transcriptions.processing import pipeline
from transcriptions.testing import ScriptedEngine, stored_files
from transcriptions.webhooks.models import Endpoint

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "/settings/data/"
DELETE = f"{PAGE}delete-account/"
PASSWORD = "correct horse battery"


def test_account_is_deleted_with_all_rows_and_files(
    browser: Client,
    alice: User,
    prepared: Transcription,
    engine: ScriptedEngine,
    settings: Any,
) -> None:
    assert pipeline.transcribe(prepared.id)
    issue_token(alice)
    Endpoint.objects.create(owner=alice, url="https://example.com/")
    response = browser.post(DELETE, {"proof": "wrong"})
    assert response.status_code == 400
    assert "Incorrect password. Nothing was deleted." in response.content.decode()
    assert browser.post(DELETE, {"proof": PASSWORD}).status_code == 302
    assert not User.objects.filter(pk=alice.pk).exists()
    for model in (Transcription, ApiToken, Endpoint):
        assert not model.objects.exists()
    assert stored_files(settings) == []
    assert browser.get(PAGE).status_code == 302  # signed out
    assert UsageRecord.objects.get().user_id == alice.pk


@pytest.mark.parametrize("view", ["change form", "changelist action"])
def test_account_deleted_by_an_administrator_leaves_no_files(
    carol: User, alice: User, prepared: Transcription, settings: Any, view: str
) -> None:
    admin, users = Client(), "/admin/accounts/user/"
    admin.force_login(carol)
    data = {"action": "delete_selected", "_selected_action": [alice.pk], "post": "yes"}
    path = f"{users}{alice.pk}/delete/" if view == "change form" else users
    assert admin.post(path, data).status_code == 302
    assert not User.objects.filter(pk=alice.pk).exists()
    assert stored_files(settings) == []
    assert UsageRecord.objects.get().outcome == "cancelled"  # it was being processed


def test_recording_uploaded_during_the_deletion_is_deleted_too(
    browser: Client, alice: User, prepared: Transcription, settings: Any
) -> None:
    def upload(**_: Any) -> None:
        path = Path(settings.MEDIA_ROOT) / "recordings" / "late.source"
        path.write_bytes(b"not empty")
        Transcription.objects.create(owner=alice, source=f"recordings/{path.name}", source_bytes=9)

    post_save.connect(upload, sender=AuditEvent)  # written last, before the user is deleted
    try:
        response = browser.post(DELETE, {"proof": PASSWORD})
    finally:
        post_save.disconnect(upload, sender=AuditEvent)
    assert response.status_code == 302
    assert not Transcription.objects.exists()
    assert stored_files(settings) == []


def test_password_guesses_on_the_deletion_form_are_rate_limited(
    browser: Client, alice: User
) -> None:
    for number in range(10):
        browser.post(DELETE, {"proof": f"guess {number}"})
    response = browser.post(DELETE, {"proof": PASSWORD})
    assert response.status_code == 400
    assert "Too many attempts" in response.content.decode()
    assert User.objects.get() == alice


def test_account_without_password_is_confirmed_by_email_address(
    browser: Client, alice: User
) -> None:
    alice.set_unusable_password()
    alice.save()
    browser.force_login(alice)
    response = browser.post(DELETE, {"proof": "bob@example.com"})
    assert response.status_code == 400
    assert "Incorrect email address. Nothing was deleted." in response.content.decode()
    assert browser.post(DELETE, {"proof": "Alice@example.com"}).status_code == 302
    assert not User.objects.exists()
