"""Retention: which recordings and audio files are deleted, and when."""

from __future__ import annotations

from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.test import Client
from django.utils import timezone

from accounts.models import Action, AuditEvent, Plan, UsageRecord, User
from transcriptions.models import State, Transcription
from transcriptions.operations.tasks import delete_expired_recordings
from transcriptions.privacy import retention
from transcriptions.processing import commands
from transcriptions.processing.commands import delete_audio
from transcriptions.testing import set_state, stored_files
from transcriptions.usage.retention import FOREVER_DAYS, RetentionPolicy

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "/settings/data/"


def set_age(days: float) -> None:
    """Move all recordings to `days` ago."""
    Transcription.objects.update(created_at=timezone.now() - timedelta(days=days))


def test_recordings_are_kept_forever_by_default(finished: Transcription) -> None:
    set_age(10_000)
    delete_expired_recordings()
    assert Transcription.objects.exists()


def test_audio_can_expire_before_the_transcript(
    browser: Client, alice: User, finished: Transcription, settings: Any
) -> None:
    periods = {"keep_audio_days": "7", "keep_days": "30", "confirmed": "1"}
    assert browser.post(PAGE, periods).status_code == 302
    set_age(6.9)
    delete_expired_recordings()
    assert len(stored_files(settings)) == 1
    set_age(7.1)
    delete_expired_recordings()
    assert stored_files(settings) == []
    url = f"/api/transcriptions/{finished.id}"
    response = browser.get(f"{url}/audio")
    assert (response.status_code, response.json()["code"]) == (404, "audio_deleted")
    assert "Sentence 1." in browser.get(url).json()["text"]
    page = browser.get(f"/transcriptions/{finished.id}/").content.decode()
    assert "Everything will be deleted on" in page
    assert "<transcript-player" not in page
    set_age(30.1)
    delete_expired_recordings()
    assert not Transcription.objects.exists()
    assert UsageRecord.objects.exists()  # the ledger stays
    deleted = AuditEvent.objects.filter(user=alice, action=Action.DELETED).order_by("id")
    assert [(event.detail, event.recording) for event in deleted] == [
        ("Audio only: retention period ended", finished.id),
        ("Retention period ended", finished.id),
    ]


def test_saved_settings_are_confirmed(browser: Client, alice: User) -> None:
    page = browser.post(PAGE, {"keep_days": "365"}, follow=True).content.decode()
    assert "Settings saved." in page
    assert '<option value="365" selected>1 year</option>' in page
    alice.refresh_from_db()
    assert (alice.keep_days, alice.keep_audio_days, alice.email_when_ready) == (365, None, False)


def test_resumed_recording_is_not_deleted_by_a_stale_task(
    finished: Transcription, settings: Any
) -> None:
    set_state(State.FAILED)
    stale = Transcription.objects.get()  # as the task reads it, before the owner resumes it
    commands.retry(Transcription.objects.get())
    User.objects.update(keep_days=1)
    set_age(2)
    retention._delete(stale, "keep_audio_days", delete_audio, "Audio")
    retention._delete(stale, "keep_days", Transcription.delete, "All of it")
    assert Transcription.objects.exists()
    assert len(stored_files(settings)) == 1
    assert not AuditEvent.objects.exists()


def test_longer_retention_applies_to_a_deletion_that_has_begun(
    alice: User, finished: Transcription, settings: Any
) -> None:
    stale = Transcription.objects.get()  # as the task lists it, before the owner changes the period
    User.objects.update(keep_days=30, keep_audio_days=30)
    set_age(20)
    retention._delete(stale, "keep_audio_days", delete_audio, "Audio")
    retention._delete(stale, "keep_days", Transcription.delete, "All of it")
    assert Transcription.objects.exists()
    assert len(stored_files(settings)) == 1


@pytest.mark.covers("fault", "A recording is changed between being read and being deleted")
@pytest.mark.parametrize("kind", ["retention", "owner"])
def test_deletion_uses_the_current_files(finished: Transcription, settings: Any, kind: str) -> None:
    stale = Transcription.objects.get()  # as it is read before a worker has prepared the audio
    audio = finished.audio.storage.save("recordings/ten.wav", ContentFile(b"prepared"))
    Transcription.objects.update(audio=audio)
    if kind == "retention":
        User.objects.update(keep_days=1)
        set_age(2)
        retention._delete(stale, "keep_days", Transcription.delete, "Retention period ended")
    else:
        stale.delete()
    assert stored_files(settings) == []


def test_plan_limits_the_retention_of_the_user(alice: User, finished: Transcription) -> None:
    alice.plan = Plan.objects.create(name="Free", max_keep_days=14)
    alice.keep_days = 365
    alice.save()
    assert RetentionPolicy.of(alice) == RetentionPolicy(audio=14, everything=14)
    set_age(14.1)
    delete_expired_recordings()
    assert not Transcription.objects.exists()


def test_plan_without_expiration_does_not_break_the_deletion_of_others(
    alice: User, bob: User, finished: Transcription, browser: Client
) -> None:
    alice.plan = Plan.objects.create(name="Forever", max_keep_days=2_147_483_647)
    alice.save()
    bob.keep_days = 1
    bob.save()
    Transcription.objects.create(
        owner=bob,
        title="Old",
        source="x",
        source_bytes=1,
        state=State.COMPLETED,
        completed_at=timezone.now(),
    )
    set_age(2)
    retention.delete_expired()
    assert Transcription.objects.get() == finished
    assert browser.get(f"/transcriptions/{finished.id}/").status_code == 200


def test_default_plan_limits_users_without_a_plan(alice: User, finished: Transcription) -> None:
    Plan.objects.create(name="Free", max_keep_days=14, is_default=True)
    set_age(14.1)
    delete_expired_recordings()
    assert not Transcription.objects.exists()


def test_unfinished_recording_is_not_deleted(alice: User, prepared: Transcription) -> None:
    User.objects.update(keep_days=1)
    set_age(2)
    delete_expired_recordings()
    assert Transcription.objects.get().state == State.PREPARED


@pytest.mark.parametrize("default", [None, 20, FOREVER_DAYS])
def test_query_and_policy_agree(alice: User, default: int | None) -> None:
    choices: list[int | None] = [None, 7, 30, FOREVER_DAYS, 2_147_483_647]
    Plan.objects.create(name="Default", max_keep_days=default, is_default=True)
    plans = [None, *(Plan.objects.create(name=str(d), max_keep_days=d) for d in choices)]
    for number, (plan, keep, audio) in enumerate(product(plans, choices, choices)):
        user = User(email=f"{number}@example.com", plan=plan)
        user.keep_days, user.keep_audio_days = keep, audio
        user.save()
    owners = User.objects.exclude(pk=alice.pk)
    Transcription.objects.bulk_create(Transcription(owner=o, source_bytes=1) for o in owners)
    rows: Any = retention.with_retention(Transcription.objects.select_related("owner__plan"))
    for row in rows:
        found = RetentionPolicy(audio=row.keep_audio_days, everything=row.keep_days)
        assert found == RetentionPolicy.of(row.owner)


def test_number_of_queries_does_not_depend_on_the_number_of_users(
    alice: User, finished: Transcription, django_assert_num_queries: Any
) -> None:
    for number in range(5):
        User.objects.create_user(f"{number}@example.com", keep_days=30, keep_audio_days=7)
    User.objects.update(keep_days=30)
    set_age(29)
    with django_assert_num_queries(2):
        delete_expired_recordings()


def test_retention_of_one_user_does_not_affect_others(bob: User, finished: Transcription) -> None:
    User.objects.filter(pk=bob.pk).update(keep_days=1)
    set_age(2)
    delete_expired_recordings()
    assert Transcription.objects.exists()
