"""Speakers over the API: names, other speakers for segments, and merging two who are the same."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from transcriptions.models import Segment, State, Transcription
from transcriptions.testing import run_concurrently, set_state

pytestmark = pytest.mark.django_db(transaction=True)

NO_VOICE = {"recognized": False, "voice": None}


@pytest.fixture
def talk(finished: Transcription) -> Transcription:
    """Five sentences: the first two by one speaker, the others by another one."""
    for segment in finished.segments.all():
        segment.speaker = 1 + (segment.number > 2)
        segment.words = [word | {"speaker": segment.speaker} for word in segment.words]
        segment.save()
    finished.speakers.create(number=1)
    finished.speakers.create(number=2)
    return finished


def call(api: Client, row: Transcription, method: str, path: str, body: dict[str, Any]) -> Any:
    url = f"/api/transcriptions/{row.id}/{path}"
    return getattr(api, method)(url, body, content_type="application/json")


def transcript(api: Client, row: Transcription) -> Any:
    return api.get(f"/api/transcriptions/{row.id}").json()


def speakers(row: Transcription) -> list[int | None]:
    segments = list(row.segments.all())
    assert all({word.get("speaker") for word in s.words} == {s.speaker} for s in segments)
    return [segment.speaker for segment in segments]


def test_transcript_lists_speakers_with_their_time(api: Client, talk: Transcription) -> None:
    body = transcript(api, talk)
    assert body["speakers"] == [
        {"number": 1, "name": None, "label": "Speaker 1", "seconds": 1.8} | NO_VOICE,
        {"number": 2, "name": None, "label": "Speaker 2", "seconds": 2.7} | NO_VOICE,
    ]
    assert [segment["speaker"] for segment in body["segments"]] == [1, 1, 2, 2, 2]
    assert body["segments"][0]["words"][0]["speaker"] == 1


def test_name_of_a_speaker_is_in_transcript_and_exports(api: Client, talk: Transcription) -> None:
    response = call(api, talk, "patch", "speakers/2", {"name": "  Anna  Maria "})
    assert (
        response.json()
        == {
            "number": 2,
            "name": "Anna Maria",
            "label": "Anna Maria",
            "seconds": 2.7,
        }
        | NO_VOICE
    )
    assert transcript(api, talk)["speakers"][1]["label"] == "Anna Maria"
    exported = api.get(f"/api/transcriptions/{talk.id}/export?format=csv").content.decode()
    assert exported.count("Anna Maria") == 3
    assert "Speaker 1" in exported


@pytest.mark.parametrize("name", ["", None, "  \u200b "])
def test_name_can_be_removed(api: Client, talk: Transcription, name: str | None) -> None:
    talk.speakers.filter(number=1).update(name="Anna")
    response = call(api, talk, "patch", "speakers/1", {"name": name})
    assert (response.json()["name"], response.json()["label"]) == (None, "Speaker 1")


@pytest.mark.covers("attack", "A name of a speaker with control characters")
def test_name_is_cleaned_and_has_100_characters_at_most(api: Client, talk: Transcription) -> None:
    hostile = {"name": "An\u0000n\u202ea"}
    assert call(api, talk, "patch", "speakers/1", hostile).json()["name"] == "Anna"
    for name in ("x" * 101, 7):
        assert call(api, talk, "patch", "speakers/1", {"name": name}).status_code == 422
    assert talk.speakers.get(number=1).name == "Anna"


def test_unknown_speaker_is_404(api: Client, talk: Transcription) -> None:
    for number in (0, 3, 32768, 10**20):
        response = call(api, talk, "patch", f"speakers/{number}", {"name": "Anna"})
        assert response.status_code == 404
    assert talk.speakers.count() == 2


def test_segment_is_given_to_another_speaker(api: Client, talk: Transcription) -> None:
    response = call(api, talk, "patch", "segments/2", {"speaker": 2})
    assert (response.status_code, response.json()["speaker"]) == (200, 2)
    assert response.json()["text"] == "Sentence 2."
    assert speakers(talk) == [1, 2, 2, 2, 2]


def test_segment_is_given_to_a_new_speaker(api: Client, talk: Transcription) -> None:
    assert call(api, talk, "patch", "segments/5", {"speaker": 4}).json()["code"] == (
        "unknown_speaker"
    )
    assert call(api, talk, "patch", "segments/5", {"speaker": 3}).status_code == 200
    assert speakers(talk) == [1, 1, 2, 2, 3]
    assert [speaker["number"] for speaker in transcript(api, talk)["speakers"]] == [1, 2, 3]


def test_text_and_speaker_change_together_or_not_at_all(api: Client, talk: Transcription) -> None:
    body = {"text": "Another one.", "speaker": 2, "expected_text": "Something else."}
    assert call(api, talk, "patch", "segments/1", body).status_code == 409
    assert speakers(talk)[0] == 1
    body["expected_text"] = "Sentence 1."
    assert call(api, talk, "patch", "segments/1", body).json()["text"] == "Another one."
    assert speakers(talk)[0] == 2
    segment = talk.segments.get(number=1)
    assert [word["speaker"] for word in segment.recognized or ()] == [2]
    assert call(api, talk, "patch", "segments/1", {}).status_code == 422


def test_speakers_of_a_recording_without_any_are_assigned_by_hand(
    api: Client, finished: Transcription
) -> None:
    Segment.objects.filter(number=1).update(words=[])  # of an old recording: only text
    assert call(api, finished, "patch", "segments/1", {"speaker": 1}).status_code == 200
    assert finished.segments.get(number=1).words[0]["speaker"] == 1
    assert transcript(api, finished)["speakers"][0]["label"] == "Speaker 1"


def test_two_speakers_become_one(api: Client, talk: Transcription) -> None:
    talk.speakers.filter(number=2).update(name="Anna")
    response = call(api, talk, "post", "speakers/merge", {"from": 2, "into": 1})
    anna = {"number": 1, "name": "Anna", "label": "Anna", "seconds": 4.5} | NO_VOICE
    assert response.json() == [anna]
    assert speakers(talk) == [1] * 5
    again = call(api, talk, "post", "speakers/merge", {"from": 2, "into": 1})
    assert (again.status_code, again.json()["code"]) == (422, "unknown_speaker")


def test_name_of_the_speaker_who_stays_is_kept(api: Client, talk: Transcription) -> None:
    talk.speakers.filter(number=1).update(name="Anna")
    talk.speakers.filter(number=2).update(name="Ben")
    response = call(api, talk, "post", "speakers/merge", {"from": 1, "into": 2})
    assert [speaker["name"] for speaker in response.json()] == ["Ben"]


@pytest.mark.parametrize("body", [{"from": 1, "into": 1}, {"from": 1}, {"from": 0, "into": 1}])
def test_invalid_merge_is_422(api: Client, talk: Transcription, body: dict[str, int]) -> None:
    assert call(api, talk, "post", "speakers/merge", body).status_code == 422
    assert talk.speakers.count() == 2


def test_speakers_are_edited_when_processing_has_ended(api: Client, talk: Transcription) -> None:
    set_state(State.TRANSCRIBING)
    for method, path, body in (
        ("patch", "speakers/1", {"name": "Anna"}),
        ("patch", "segments/1", {"speaker": 2}),
        ("post", "speakers/merge", {"from": 2, "into": 1}),
    ):
        response = call(api, talk, method, path, body)
        assert (response.status_code, response.json()["code"]) == (409, "not_completed")
    assert speakers(talk) == [1, 1, 2, 2, 2]


def test_speakers_of_a_cancelled_recording_can_be_named(api: Client, talk: Transcription) -> None:
    talk.speakers.all().delete()
    set_state(State.CANCELLED)
    assert call(api, talk, "patch", "speakers/2", {"name": "Ben"}).json()["name"] == "Ben"


@pytest.mark.covers("fault", "Two browsers assign sentences to a new speaker at the same time")
def test_concurrent_changes_create_one_new_speaker(api: Client, talk: Transcription) -> None:
    def assign(number: int) -> int:
        return int(call(api, talk, "patch", f"segments/{number}", {"speaker": 3}).status_code)

    assert run_concurrently(lambda: assign(1), lambda: assign(2)) == [200, 200]
    assert speakers(talk)[:2] == [3, 3]
    assert talk.speakers.count() == 3
