"""Several segments, and parts of them, are assigned to a speaker; one speaker is split into two."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from transcriptions.api.tests.test_speakers import call, speakers, talk, transcript
from transcriptions.editing.service import correct
from transcriptions.models import Segment, State, Transcription
from transcriptions.testing import run_concurrently, set_state

pytestmark = pytest.mark.django_db(transaction=True)
__all__ = ["talk"]  # the fixture


BY_HAND = {"recognized": False, "voice": None}  # not by the voice


def assign(api: Client, row: Transcription, speaker: int, *parts: dict[str, int]) -> Any:
    return call(api, row, "post", "speakers/assign", {"speaker": speaker, "parts": parts})


def word_speakers(row: Transcription, number: int) -> list[int | None]:
    return [word.get("speaker") for word in row.segments.get(number=number).words]


def four_words(row: Transcription, number: int, speaker: int) -> None:
    words = [
        {"start": number + n / 10, "end": number + n / 10 + 0.1, "text": text, "speaker": speaker}
        for n, text in enumerate(("We", "have", "no", "time."))
    ]
    Segment.objects.filter(number=number).update(words=words, text="We have no time.")


def test_several_segments_are_given_to_a_speaker(api: Client, talk: Transcription) -> None:
    response = assign(api, talk, 1, {"segment": 5}, {"segment": 3})
    assert response.json() == {
        "speakers": [
            {"number": 1, "name": None, "label": "Speaker 1", "seconds": 3.6} | BY_HAND,
            {"number": 2, "name": None, "label": "Speaker 2", "seconds": 0.9} | BY_HAND,
        ],
        "segments": [
            {"id": 3, "speaker": 1, "words": [1]},
            {"id": 5, "speaker": 1, "words": [1]},
        ],
    }
    assert speakers(talk) == [1, 1, 1, 2, 1]


def test_new_speaker_says_some_words_of_a_segment(api: Client, talk: Transcription) -> None:
    four_words(talk, 2, speaker=1)
    correct(talk, 2, "We have no more time.")
    response = assign(api, talk, 3, {"segment": 2, "first_word": 3, "last_word": 4})
    assert response.json()["segments"] == [{"id": 2, "speaker": 1, "words": [1, 1, 3, 3, 1]}]
    segment = talk.segments.get(number=2)
    assert [word["speaker"] for word in segment.recognized or ()] == [1, 1, 3, 1]
    assert [each["number"] for each in transcript(api, talk)["speakers"]] == [1, 2, 3]
    assign(api, talk, 3, {"segment": 2, "first_word": 2})
    assert word_speakers(talk, 2) == [1, 3, 3, 3, 3]
    assert talk.segments.get(number=2).speaker == 3
    assign(api, talk, 2, {"segment": 2, "last_word": 1}, {"segment": 3})
    assert word_speakers(talk, 2) == [2, 3, 3, 3, 3]


@pytest.mark.parametrize(
    ("part", "code"),
    [
        ({"segment": 9}, "unknown_segment"),
        ({"segment": 2, "first_word": 5}, "unknown_word"),
        ({"segment": 2, "last_word": 5}, "unknown_word"),
        ({"segment": 2, "first_word": 3, "last_word": 2}, "unknown_word"),
        ({"segment": 2, "first_word": 0}, "invalid_field"),
        ({"segment": 0}, "invalid_field"),
        ({"segment": 2**31}, "invalid_field"),
        ({"segment": 2, "last_word": 10**30}, "unknown_word"),
    ],
)
def test_all_parts_are_assigned_or_none(
    api: Client, talk: Transcription, part: dict[str, int], code: str
) -> None:
    four_words(talk, 2, speaker=1)
    response = assign(api, talk, 3, {"segment": 1}, part)
    assert (response.status_code, response.json()["code"]) == (422, code)
    assert speakers(talk) == [1, 1, 2, 2, 2]
    assert talk.speakers.count() == 2


def test_selection_for_an_unknown_speaker_is_refused(api: Client, talk: Transcription) -> None:
    assert assign(api, talk, 4, {"segment": 1}).json()["code"] == "unknown_speaker"
    assert assign(api, talk, 1).status_code == 422


@pytest.mark.covers("attack", "A request that assigns millions of segments")
def test_number_of_parts_is_limited(api: Client, talk: Transcription) -> None:
    parts = [{"segment": 1}] * 20_001
    assert assign(api, talk, 1, *parts).status_code == 422


def test_one_speaker_becomes_two(api: Client, talk: Transcription) -> None:
    talk.speakers.filter(number=2).update(name="Anna")
    four_words(talk, 3, speaker=2)
    assign(api, talk, 1, {"segment": 3, "first_word": 1, "last_word": 1})
    response = call(api, talk, "post", "speakers/2/split", {"segments": [1, 3, 5]})
    assert response.status_code == 200, response.content
    assert response.json()["segments"] == [
        {"id": 3, "speaker": 3, "words": [1, 3, 3, 3]},
        {"id": 5, "speaker": 3, "words": [3]},
    ]
    names = [(each["number"], each["label"]) for each in response.json()["speakers"]]
    assert names == [(1, "Speaker 1"), (2, "Anna"), (3, "Speaker 3")]
    assert [segment.speaker for segment in talk.segments.all()] == [1, 1, 3, 2, 3]


@pytest.mark.parametrize("segments", [[1, 2], [3, 4, 5], [1, 2, 3, 4, 5]])
def test_both_parts_of_a_split_have_words(
    api: Client, talk: Transcription, segments: list[int]
) -> None:
    response = call(api, talk, "post", "speakers/2/split", {"segments": segments})
    assert (response.status_code, response.json()["code"]) == (422, "nothing_to_split")
    assert speakers(talk) == [1, 1, 2, 2, 2]
    assert talk.speakers.count() == 2


def test_split_of_unknown_speakers_and_segments_is_refused(
    api: Client, talk: Transcription
) -> None:
    for number, segments, status in ((7, [1], 404), (2, [9], 422), (2, [], 422), (2, ["3"], 422)):
        response = call(api, talk, "post", f"speakers/{number}/split", {"segments": segments})
        assert response.status_code == status
    set_state(State.TRANSCRIBING)
    assert call(api, talk, "post", "speakers/2/split", {"segments": [3]}).status_code == 409
    assert assign(api, talk, 1, {"segment": 3}).status_code == 409


@pytest.mark.covers("fault", "Two browsers split the same speaker at the same time")
def test_concurrent_splits_create_two_speakers(api: Client, talk: Transcription) -> None:
    def split(number: int) -> int:
        body = {"segments": [number]}
        return int(call(api, talk, "post", "speakers/2/split", body).status_code)

    assert run_concurrently(lambda: split(3), lambda: split(4)) == [200, 200]
    assert sorted(filter(None, speakers(talk))) == [1, 1, 2, 3, 4]
