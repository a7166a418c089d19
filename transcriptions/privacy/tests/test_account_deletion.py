"""Deleting one's account: the confirmation, and what is deleted with it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db.models.signals import pre_delete
from django.test import Client
from django.utils import timezone

from accounts.account_deletion import request_deletion
from accounts.models import AccountDeletion, ApiToken, UsageRecord, User
from accounts.tokens import issue_token
from transcriptions import queue
from transcriptions.models import State, Transcription
from transcriptions.privacy import account_deletion, tasks
from transcriptions.processing import pipeline
from transcriptions.testing import (
    MP3,
    ScriptedEngine,
    finish_account_deletions,
    set_state,
    stored_files,
)
from transcriptions.uploads.service import UploadRefused, create_transcription
from transcriptions.webhooks.models import Endpoint

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "/settings/data/"
DELETE = f"{PAGE}delete-account/"
PASSWORD = "correct horse battery"


def add_recordings(owner: User, count: int) -> None:
    """Cancelled recordings without files."""
    for number in range(count):
        Transcription.objects.create(owner=owner, title=f"Number {number}", source_bytes=9)
    set_state(State.CANCELLED)


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
    assert browser.get(PAGE).status_code == 302  # signed out
    assert mail.outbox == []
    finish_account_deletions()
    assert not User.objects.filter(pk=alice.pk).exists()
    for model in (Transcription, ApiToken, Endpoint):
        assert not model.objects.exists()
    assert stored_files(settings) == []
    assert UsageRecord.objects.get().user_id == alice.pk
    (message,) = mail.outbox
    assert (message.to, message.subject) == ([alice.email], "Your account has been deleted")


@pytest.mark.parametrize("view", ["change form", "changelist action"])
def test_account_deleted_by_an_administrator_leaves_no_files(
    carol: User, alice: User, prepared: Transcription, settings: Any, view: str
) -> None:
    admin, users = Client(), "/admin/accounts/user/"
    admin.force_login(carol)
    data = {"action": "delete_selected", "_selected_action": [alice.pk], "post": "yes"}
    path = f"{users}{alice.pk}/delete/" if view == "change form" else users
    page = admin.post(path, data, follow=True).content.decode()
    assert "All data is being deleted in the background." in page
    assert not User.objects.get(pk=alice.pk).is_active
    finish_account_deletions()
    assert not User.objects.filter(pk=alice.pk).exists()
    assert stored_files(settings) == []
    assert UsageRecord.objects.get().outcome == "cancelled"  # it was being processed


def test_upload_is_refused_once_deletion_is_requested(
    alice: User, prepared: Transcription, settings: Any
) -> None:
    request_deletion(alice)
    wav = SimpleUploadedFile("late.mp3", MP3)
    with pytest.raises(UploadRefused, match="has been deleted") as refused:
        create_transcription(alice, wav)
    assert refused.value.status == 401
    finish_account_deletions()
    assert stored_files(settings) == []


@pytest.mark.covers("fault", "The worker is killed while it deletes an account")
def test_deletion_continues_after_the_worker_died(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_recordings(alice, 6)
    request_deletion(alice)

    def die_at_third(instance: Transcription, **_: Any) -> None:
        if Transcription.objects.count() == 4:
            raise SystemExit

    pre_delete.connect(die_at_third, sender=Transcription)
    try:
        with pytest.raises(SystemExit):
            account_deletion.delete_batch(alice.pk)
    finally:
        pre_delete.disconnect(die_at_third, sender=Transcription)
    assert Transcription.objects.count() == 4  # each was deleted in its own transaction
    enqueued: list[Any] = []
    monkeypatch.setattr(queue, "enqueue", lambda task, user_id: enqueued.append(user_id))
    tasks.resume_account_deletions()
    assert enqueued == []  # the dead worker has the lease
    AccountDeletion.objects.update(lease_until=timezone.now())
    tasks.resume_account_deletions()
    assert enqueued == [alice.pk]
    finish_account_deletions()
    assert not User.objects.exists()


def test_each_run_deletes_a_batch_and_enqueues_the_next(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account_deletion, "BATCH_RECORDINGS", 2)
    add_recordings(alice, 5)
    request_deletion(alice)
    left: list[int] = []

    def run_now(task: Any, user_id: str) -> None:
        left.append(Transcription.objects.count())
        task(str(user_id))

    monkeypatch.setattr(queue, "enqueue", run_now)
    tasks.resume_account_deletions()
    assert left == [5, 3, 1, 0]
    assert not User.objects.exists()


def test_account_enabled_during_its_deletion_is_disabled_again(alice: User) -> None:
    add_recordings(alice, 1)
    request_deletion(alice)
    User.objects.update(is_active=True)
    assert account_deletion.delete_batch(alice.pk)
    assert not User.objects.get().is_active


@pytest.mark.covers("fault", "The mail server is down when an account is deleted")
def test_unreachable_mail_server_delays_the_deletion_for_a_day_at_most(
    alice: User, settings: Any
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    request_deletion(alice)
    account_deletion.delete_batch(alice.pk)
    assert User.objects.get() == alice
    deletion = AccountDeletion.objects.get()
    assert deletion.lease_until > timezone.now()
    day_ago = timezone.now() - timedelta(hours=25)
    AccountDeletion.objects.update(requested_at=day_ago, lease_until=day_ago)
    account_deletion.delete_batch(alice.pk)
    assert not User.objects.exists()


@pytest.mark.covers("attack", "Passwords are guessed on the form that deletes an account")
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
    finish_account_deletions()
    assert not User.objects.exists()
