"""How long data are kept, all of them as a ZIP, and the end of an account."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.db.models.signals import post_save
from django.test import Client
from django.utils import timezone

from accounts.ledger import UsageRecord
from accounts.models import Action, ApiToken, AuditEvent, Plan, User
from transcriptions import actions, pipeline, retention
from transcriptions.models import State, Transcription
from transcriptions.retention import Terms
from transcriptions.tasks import delete_what_was_kept_long_enough
from transcriptions.tests.conftest import ScriptedEngine, stored_files
from transcriptions.webhooks.models import Endpoint

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "/settings/data/"


@pytest.fixture
def page(alice: User) -> Client:
    client = Client()
    client.force_login(alice)
    return client


def age(days: float) -> None:
    Transcription.objects.update(created_at=timezone.now() - timedelta(days=days))


# --- How long they are kept ---------------------------------------------------------------------


def test_by_default_they_are_kept_for_good(finished: Transcription) -> None:
    age(10_000)
    delete_what_was_kept_long_enough()
    assert Transcription.objects.exists()


def test_the_audio_may_go_before_the_words(
    page: Client, alice: User, finished: Transcription, settings: Any
) -> None:
    assert page.post(PAGE, {"keep_audio_days": "7", "keep_days": "30"}).status_code == 302
    age(6.9)
    delete_what_was_kept_long_enough()
    assert len(stored_files(settings)) == 2
    age(7.1)
    delete_what_was_kept_long_enough()
    assert stored_files(settings) == []
    url = f"/api/transcriptions/{finished.id}"
    answer = page.get(f"{url}/audio")
    assert (answer.status_code, answer.json()["code"]) == (404, "audio_gone")
    assert "Sentence 1." in page.get(url).json()["text"]
    shown = page.get(f"/transcriptions/{finished.id}/").content.decode()
    assert "Everything will be deleted on" in shown
    assert "<transcript-player" not in shown
    age(30.1)
    delete_what_was_kept_long_enough()
    assert not Transcription.objects.exists()
    assert UsageRecord.objects.exists()  # the ledger stays
    deleted = AuditEvent.objects.filter(user=alice, action=Action.DELETED).order_by("id")
    assert [event.detail for event in deleted] == [
        f"The audio of {finished.title} (kept long enough)",
        f"{finished.title} (kept long enough)",
    ]


def test_what_is_tried_again_meanwhile_keeps_its_audio(
    finished: Transcription, settings: Any
) -> None:
    Transcription.objects.update(state=State.FAILED)
    found = Transcription.objects.get()  # by the task, a moment before
    actions.retry(Transcription.objects.get())
    retention._end(found, found.forget_audio, "The audio")
    retention._end(found, found.delete, "All of it")
    assert Transcription.objects.exists()
    assert len(stored_files(settings)) == 2
    assert not AuditEvent.objects.exists()


def test_the_plan_has_the_last_word(alice: User, finished: Transcription) -> None:
    alice.plan = Plan.objects.create(name="Free", max_keep_days=14)
    alice.keep_days = 365
    alice.save()
    assert Terms.of(alice) == Terms(audio=14, everything=14)
    age(14.1)
    delete_what_was_kept_long_enough()
    assert not Transcription.objects.exists()


def test_a_plan_without_end_stops_nothing(
    alice: User, bob: User, finished: Transcription, page: Client
) -> None:
    alice.plan = Plan.objects.create(name="For good", max_keep_days=2_147_483_647)
    alice.save()
    bob.keep_days = 1
    bob.save()
    Transcription.objects.create(
        owner=bob, title="Old", source="x", source_bytes=1, state=State.COMPLETED
    )
    age(2)
    retention.sweep()
    assert Transcription.objects.get() == finished
    assert page.get(f"/transcriptions/{finished.id}/").status_code == 200


def test_a_default_plan_holds_for_those_without_one(alice: User, finished: Transcription) -> None:
    Plan.objects.create(name="Free", max_keep_days=14, is_default=True)
    age(14.1)
    delete_what_was_kept_long_enough()
    assert not Transcription.objects.exists()


def test_what_is_worked_on_is_left_alone(alice: User, prepared: Transcription) -> None:
    User.objects.update(keep_days=1)
    age(2)
    delete_what_was_kept_long_enough()
    assert Transcription.objects.get().state == State.PREPARED


def test_others_keep_theirs(bob: User, finished: Transcription) -> None:
    User.objects.filter(pk=bob.pk).update(keep_days=1)
    age(2)
    delete_what_was_kept_long_enough()
    assert Transcription.objects.exists()


# --- Everything as a ZIP ------------------------------------------------------------------------


def test_everything_is_in_the_zip(page: Client, finished: Transcription, bob: User) -> None:
    EmailAddress.objects.create(user=finished.owner, email="alice@work.example")
    User.objects.filter(pk=finished.owner_id).update(keep_days=30)
    finished.rename('Q1/Q2: ../plans <"CON|a*b?\\c')
    UsageRecord.objects.get().correct("Given back.")
    Transcription.objects.create(owner=bob, title="Of Bob", source="x", source_bytes=1)
    gone = Transcription.objects.create(
        owner=finished.owner, title="Gone", source="recordings/none", source_bytes=1
    )
    answer = page.post(f"{PAGE}takeout/")
    assert answer["Content-Type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(b"".join(answer))) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        folders = {name.split("/")[0] for name in names if "/" in name}
        assert len(folders) == 2
        assert not any("Bob" in name or ".." in name.split("/") for name in names)
        (folder,) = [name for name in folders if "Q1-Q2- ..-plans --CON-a-b--c" in name]
        assert {name.split("/")[1] for name in names if name.startswith(folder)} == {
            "recording.json",
            "recording.media",
            "transcript.srt",
            "transcript.txt",
            "transcript.vtt",
        }
        assert archive.read(f"{folder}/recording.media") == Path(finished.source.path).read_bytes()
        assert json.loads(archive.read(f"{folder}/recording.json"))["segments"]
        account = json.loads(archive.read("account.json"))
        assert account["email"] == "alice@example.com"
        assert account["addresses"][0] == {
            "email": "alice@work.example",
            "verified": False,
            "primary": False,
        }
        assert account["settings"]["keep_days"] == 30
        assert any(str(gone.id)[:8] in name for name in names)
        usage = json.loads(archive.read("usage.json"))
        assert [(row["charged_seconds"], row["reason"]) for row in usage] == [
            (10, "The transcript is complete."),
            (-10, "Given back."),
        ]
        assert {row["recording"] for row in usage} == {str(finished.id)}
        activity = json.loads(archive.read("activity.json"))
        assert [event["what"] for event in activity] == ["signed_in", "taken_out"]


# --- The end ------------------------------------------------------------------------------------


def test_an_account_ends_with_everything_in_it(
    page: Client,
    alice: User,
    prepared: Transcription,
    engine: ScriptedEngine,
    settings: Any,
) -> None:
    assert pipeline.transcribe(prepared.id)
    ApiToken.issue(alice)
    Endpoint.objects.create(owner=alice, url="https://example.com/")
    answer = page.post(f"{PAGE}goodbye/", {"proof": "wrong"})
    assert answer.status_code == 400
    assert "Nothing was deleted." in answer.content.decode()
    assert page.post(f"{PAGE}goodbye/", {"proof": "correct horse battery"}).status_code == 302
    assert not User.objects.filter(pk=alice.pk).exists()
    for model in (Transcription, ApiToken, Endpoint):
        assert not model.objects.exists()
    assert stored_files(settings) == []
    assert page.get(PAGE).status_code == 302  # nobody is signed in any more
    assert UsageRecord.objects.get().user_id == alice.pk


@pytest.mark.parametrize("how", ["one", "several"])
def test_an_account_that_the_administration_deletes_leaves_no_files(
    carol: User, alice: User, prepared: Transcription, settings: Any, how: str
) -> None:
    clerk, users = Client(), "/admin/accounts/user/"
    clerk.force_login(carol)
    chosen = {"action": "delete_selected", "_selected_action": [alice.pk], "post": "yes"}
    path = f"{users}{alice.pk}/delete/" if how == "one" else users
    assert clerk.post(path, chosen).status_code == 302
    assert not User.objects.filter(pk=alice.pk).exists()
    assert stored_files(settings) == []
    assert UsageRecord.objects.get().outcome == "cancelled"  # it was being worked on


def test_what_is_sent_while_an_account_ends_goes_with_it(
    page: Client, alice: User, prepared: Transcription, settings: Any
) -> None:
    def late(**_: Any) -> None:
        path = Path(settings.MEDIA_ROOT) / "recordings" / "late.source"
        path.write_bytes(b"not empty")
        Transcription.objects.create(owner=alice, source=f"recordings/{path.name}", source_bytes=9)

    post_save.connect(late, sender=AuditEvent)  # the last thing before the account goes
    try:
        answer = page.post(f"{PAGE}goodbye/", {"proof": "correct horse battery"})
    finally:
        post_save.disconnect(late, sender=AuditEvent)
    assert answer.status_code == 302
    assert not Transcription.objects.exists()
    assert stored_files(settings) == []


def test_a_password_is_not_guessed_by_ending_the_account(page: Client, alice: User) -> None:
    for number in range(10):
        page.post(f"{PAGE}goodbye/", {"proof": f"guess {number}"})
    answer = page.post(f"{PAGE}goodbye/", {"proof": "correct horse battery"})
    assert answer.status_code == 400
    assert "Too many attempts" in answer.content.decode()
    assert User.objects.get() == alice


def test_without_a_password_the_address_is_asked_for(page: Client, alice: User) -> None:
    alice.set_unusable_password()
    alice.save()
    page.force_login(alice)
    assert page.post(f"{PAGE}goodbye/", {"proof": "bob@example.com"}).status_code == 400
    assert page.post(f"{PAGE}goodbye/", {"proof": "Alice@example.com"}).status_code == 302
    assert not User.objects.exists()
