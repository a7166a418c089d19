"""Voices over the API and on the settings page."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest
from django.http import Http404
from django.test import Client

from accounts.models import AuditEvent, User
from gpu.diarization.voices import SIZE
from transcriptions.models import Transcription, Voice, VoiceUse
from transcriptions.privacy.export import export_user_data
from transcriptions.processing.kept_voices import rename_voice
from transcriptions.processing.recognized_voices import clear_words, spans_by_speaker, to_bytes

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def talk(finished: Transcription) -> Transcription:
    """Five seconds of one speaker."""
    for segment in finished.segments.all():
        segment.speaker = 1
        segment.words = [word | {"speaker": 1} for word in segment.words]
        segment.words[0]["end"] = float(segment.number)  # without pauses
        segment.save()
    finished.speakers.create(number=1, name="Anna")
    return finished


def voice(owner: User, name: str, **fields: Any) -> Voice:
    import numpy as np

    vector = to_bytes(np.full(SIZE, SIZE**-0.5, np.float32))
    return Voice.objects.create(owner=owner, name=name, vector=vector, recordings=1, **fields)


def keep(api: Client, row: Transcription, number: int = 1) -> Any:
    return api.post(f"/api/transcriptions/{row.id}/speakers/{number}/voice")


def rename(api: Client, kept: Voice, name: object) -> Any:
    return api.patch(f"/api/voices/{kept.id}", {"name": name}, content_type="application/json")


def activity(user: User) -> list[str]:
    events = AuditEvent.objects.filter(user=user, action="voice").order_by("id")
    return [event.detail for event in events]


def test_voice_is_kept_listed_renamed_and_deleted(
    api: Client, alice: User, talk: Transcription
) -> None:
    response = keep(api, talk)
    body = response.json()
    assert response.status_code == 202
    assert (body["name"], body["state"], body["recordings"]) == ("Anna", "learning", 0)
    assert api.get("/api/voices").json() == [body]
    (speaker,) = api.get(f"/api/transcriptions/{talk.id}").json()["speakers"]
    assert (speaker["voice"], speaker["recognized"]) == (body["id"], False)
    kept = Voice.objects.get()
    assert rename(api, kept, " Anna  Maria ").json()["name"] == "Anna Maria"
    assert api.delete(f"/api/voices/{kept.id}").status_code == 204
    assert api.get("/api/voices").json() == []
    assert talk.speakers.get().voice_use == VoiceUse.NONE
    assert activity(alice) == ["Kept", "Renamed", "Deleted"]


def test_words_during_which_others_speak_are_no_speech_of_a_voice(
    api: Client, talk: Transcription
) -> None:
    for segment in talk.segments.all():
        segment.words = [word | {"overlap": True} for word in segment.words]
        segment.save()
    assert keep(api, talk).json()["code"] == "too_little_speech"
    first = talk.segments.earliest("number")
    assert spans_by_speaker(clear_words(first.words)) == {}
    assert spans_by_speaker(first.words)


def test_voice_is_refused_with_the_reason(api: Client, talk: Transcription) -> None:
    assert keep(api, talk, 2).status_code == 404
    talk.segments.filter(number__gt=2).delete()
    assert keep(api, talk).json()["code"] == "too_little_speech"
    talk.speakers.update(name="")
    assert keep(api, talk).json()["code"] == "unnamed_speaker"
    talk.speakers.update(name="Anna")
    Transcription.objects.update(source="")
    response = keep(api, talk)
    assert (response.status_code, response.json()["code"]) == (409, "audio_deleted")
    assert not Voice.objects.exists()


def test_two_voices_cannot_have_one_name(api: Client, alice: User, bob: User) -> None:
    anna, _ben, _other = voice(alice, "Anna"), voice(alice, "Ben"), voice(bob, "Carl")
    response = rename(api, anna, "BEN")
    assert (response.status_code, response.json()["code"]) == (409, "voice_exists")
    assert rename(api, anna, "Carl").status_code == 200
    for name in ("", " ", "x" * 101, None):
        assert rename(api, anna, name).status_code == 422


def test_renaming_or_merging_speakers_changes_what_was_recognized(
    api: Client, alice: User, talk: Transcription
) -> None:
    recognized = {"voice": voice(alice, "Anna"), "voice_use": VoiceUse.RECOGNIZED}
    talk.speakers.update(**recognized)
    talk.speakers.create(number=2, name="")
    url = f"/api/transcriptions/{talk.id}/speakers"
    body = {"from": 1, "into": 2}
    (left,) = api.post(f"{url}/merge", body, content_type="application/json").json()
    assert (left["number"], left["name"], left["recognized"]) == (2, "Anna", True)
    for name, is_recognized in (("Anna", True), ("Anne", False)):
        renamed = api.patch(f"{url}/2", {"name": name}, content_type="application/json").json()
        assert renamed["recognized"] is is_recognized
    assert renamed["voice"] is None


def test_numbers_of_a_voice_are_in_the_data_export_only(
    api: Client, browser: Client, alice: User
) -> None:
    kept = voice(alice, "Anna")
    content = b"".join(export_user_data(alice))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        (exported,) = json.loads(archive.read("account.json"))["voices"]
    assert exported["name"] == "Anna"
    assert exported["vector"] == pytest.approx([SIZE**-0.5] * SIZE, rel=1e-3)
    assert set(api.get("/api/voices").json()[0]) == {
        *("id", "name", "state", "error", "recordings", "created_at")
    }
    page = browser.get("/settings/voices/").content.decode()
    assert "0.06" not in page
    assert "biometric" in page
    assert kept.name in page


# --- The settings page --------------------------------------------------------------------------


def test_page_shows_states_and_renames(browser: Client, alice: User) -> None:
    anna = voice(alice, "Anna")
    Voice.objects.create(owner=alice, name="Ben")
    page = browser.get("/settings/voices/").content.decode()
    assert "Learned from 1 recording" in page
    assert "Could not be learned. Try again" in page
    Voice.objects.filter(owner=alice).update(error="This person says too little.")
    page = browser.get("/settings/voices/").content.decode()
    assert page.count("This person says too little.") == 2
    assert "Could not be learned. Try again" not in page
    assert browser.post(f"/settings/voices/{anna.id}/", {"name": "ben"}).status_code == 400
    assert browser.post(f"/settings/voices/{anna.id}/", {"name": "\u200b"}).status_code == 400
    assert browser.post(f"/settings/voices/{anna.id}/", {"name": "Anne"}).status_code == 302
    assert activity(alice) == ["Renamed"]


def test_one_or_all_voices_are_deleted_after_a_question(
    browser: Client, alice: User, bob: User
) -> None:
    anna, *_ = [voice(alice, name) for name in ("Anna", "Ben", "Carl")]
    voice(bob, "Dora")
    one, every = f"/settings/voices/{anna.id}/delete/", "/settings/voices/delete-all/"
    for url, left in ((one, ["Ben", "Carl", "Dora"]), (every, ["Dora"])):
        before = Voice.objects.count()
        assert browser.get(url).status_code == 200
        assert Voice.objects.count() == before
        assert browser.post(url).status_code == 302
        assert [each.name for each in Voice.objects.all()] == left
    assert activity(alice) == ["Deleted", "All deleted"]


def test_voice_that_was_deleted_meanwhile_is_404(alice: User) -> None:
    anna = voice(alice, "Anna")
    Voice.objects.all().delete()
    with pytest.raises(Http404):
        rename_voice(anna, "Ann")
