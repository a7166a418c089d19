"""Subtitle profiles of users, and the quality report, over REST."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from transcriptions.exports.profiles import PROFILES
from transcriptions.exports.user_profiles import MAX_PROFILES, ProfileIn, profiles_of, save_profile
from transcriptions.models import Segment, State, SubtitleProfile, Transcription
from transcriptions.testing import set_state

pytestmark = pytest.mark.django_db(transaction=True)

URL = "/api/subtitle-profiles"


def put(api: Client, profile: str, /, **norms: Any) -> Any:
    return api.put(f"{URL}/{profile}", norms, content_type="application/json")


def report(api: Client, row: Transcription, **params: Any) -> Any:
    return api.get(f"/api/transcriptions/{row.id}/subtitles", params)


def test_built_in_profiles_are_listed_first(api: Client) -> None:
    put(api, "My club", max_line_chars=30)
    listed = api.get(URL).json()
    assert [profile["name"] for profile in listed] == [*PROFILES, "My club"]
    assert [profile["built_in"] for profile in listed] == [True] * len(PROFILES) + [False]
    assert (listed[0]["max_line_chars"], listed[-1]["max_line_chars"]) == (42, 30)
    assert listed[-1]["max_lines"] == 2  # as in the profile `netflix`


def test_own_profile_shapes_exports(api: Client, finished: Transcription) -> None:
    assert put(api, "club", max_line_chars=11, max_lines=1).status_code == 201
    url = f"/api/transcriptions/{finished.id}/export"
    content = api.get(url, {"format": "srt", "profile": "club"}).content.decode()
    assert content.count(" --> ") == 5
    assert put(api, "Club", max_lines=2).status_code == 200  # replaced
    assert [row.name for row in SubtitleProfile.objects.all()] == ["Club"]
    assert api.get(url, {"format": "srt", "profile": "club"}).status_code == 422


def test_deleted_profile_is_unknown(api: Client, finished: Transcription) -> None:
    put(api, "club")
    assert api.delete(f"{URL}/club").status_code == 204
    assert api.delete(f"{URL}/club").status_code == 404
    response = report(api, finished, profile="club")
    assert (response.status_code, response.json()["code"]) == (422, "invalid_field")
    assert "use one of netflix," in response.json()["detail"]


def test_profile_of_another_user_is_unknown(
    api: Client, bob: User, finished: Transcription
) -> None:
    save_profile(bob, "club", ProfileIn())
    assert "club" in profiles_of(bob)
    assert report(api, finished, profile="club").status_code == 422
    assert api.delete(f"{URL}/club").status_code == 404
    assert put(api, "club", max_lines=1).status_code == 201
    assert profiles_of(bob)["club"].max_lines == 2


@pytest.fixture
def bob(db: None) -> User:
    return User.objects.create_user("bob@example.com")


@pytest.mark.parametrize(
    ("name", "norms", "status"),
    [
        ("netflix", {}, 409),
        ("BBC", {}, 409),
        ("..", {}, 422),
        ("a%3Cb", {}, 422),
        ("x" * 41, {}, 422),
        ("club", {"max_line_chars": 9}, 422),
        ("club", {"max_lines": 0}, 422),
        ("club", {"max_duration": 0.4}, 422),
        ("club", {"min_duration": 9}, 422),  # longer than max_duration
        ("club", {"unknown": 1}, 422),
        ("club", {"name": "other"}, 422),
    ],
)
def test_impossible_profiles_are_refused(
    api: Client, name: str, norms: dict[str, Any], status: int
) -> None:
    assert put(api, name, **norms).status_code == status
    assert not SubtitleProfile.objects.exists()


def test_number_of_profiles_is_limited(api: Client, alice: User) -> None:
    SubtitleProfile.objects.bulk_create(
        SubtitleProfile(owner=alice, name=f"p{n}", norms={}) for n in range(MAX_PROFILES)
    )
    assert put(api, "more").json()["code"] == "profile_refused"
    assert put(api, "p1", max_lines=1).status_code == 200


def test_report_lists_subtitles_with_what_they_fail(api: Client, finished: Transcription) -> None:
    link = "https://example.com/" + "x" * 40
    words = [{"start": 8.0, "end": 11.0, "text": link}]
    Segment.objects.create(
        transcription=finished, number=6, start=8.0, end=11.0, text=link, words=words
    )
    body = report(api, finished, profile="netflix").json()
    assert (body["profile"], body["passed"], body["share"]) == ("netflix", 1, 0.5)
    assert body["failures"] == {"line_length": 1}
    good, bad = body["cues"]
    assert good["violations"] == []
    assert good["lines"] == ["Sentence 1. Sentence 2.", "Sentence 3. Sentence 4. Sentence 5."]
    assert (good["segment"], bad["segment"]) == (1, 6)
    assert (good["line_chars"], good["chars_per_second"]) == (35, pytest.approx(10.9, abs=0.1))
    assert bad["violations"] == [{"norm": "line_length", "value": 60, "limit": 42}]


def test_report_is_about_the_export_with_the_same_options(
    api: Client, finished: Transcription
) -> None:
    options: dict[str, Any] = {"start": 1, "end": 3, "offset": 60, "profile": "social"}
    cues = report(api, finished, **options).json()["cues"]
    url = f"/api/transcriptions/{finished.id}/export"
    exported = api.get(url, {"format": "srt", **options}).content.decode()
    assert cues[0]["start"] == 61
    assert [line for cue in cues for line in cue["lines"]] == [
        line for line in exported.splitlines() if line.startswith("Sentence")
    ]


def test_report_of_no_words_is_empty_and_of_no_transcript_is_409(
    api: Client, finished: Transcription
) -> None:
    assert report(api, finished, start=100).json()["share"] == 1
    set_state(State.QUEUED)
    assert report(api, finished).json()["code"] == "not_completed"
