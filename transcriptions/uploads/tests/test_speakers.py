"""What requests ask about speakers is stored, on every way into the library."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import QueryDict
from django.test import Client

from accounts.models import User
from transcriptions.api.openai.errors import InvalidParameter
from transcriptions.api.openai.params import TranscriptionParams
from transcriptions.live.sessions import LiveParams
from transcriptions.models import Transcription
from transcriptions.testing import MP3, send
from transcriptions.uploads.params import DirectUploadIn, UploadParams

pytestmark = pytest.mark.django_db(transaction=True)


def stored() -> dict[str, Any]:
    """Of the newest recording."""
    row = Transcription.objects.first()
    assert row
    names = ("diarize", "min_speakers", "max_speakers")
    return {name: row.stored_options[name] for name in names if name in row.stored_options}


REQUESTS: list[tuple[dict[str, str], dict[str, Any]]] = [
    ({}, {}),
    ({"diarize": "", "speakers": "", "min_speakers": "", "max_speakers": ""}, {}),
    ({"diarize": "true"}, {"diarize": True}),
    ({"diarize": "on", "speakers": "2"}, {"diarize": True, "min_speakers": 2, "max_speakers": 2}),
    ({"speakers": "3"}, {"diarize": True, "min_speakers": 3, "max_speakers": 3}),
    ({"max_speakers": "4"}, {"diarize": True, "max_speakers": 4}),
    ({"min_speakers": "2", "diarize": "false"}, {"min_speakers": 2}),
]


@pytest.mark.parametrize(("fields", "expected"), REQUESTS)
def test_form_and_raw_body_are_stored_the_same(
    api: Client, fields: dict[str, str], expected: dict[str, Any]
) -> None:
    assert send(api, "/api/transcriptions", MP3, "a.mp3", **fields).status_code == 202
    assert stored() == expected
    query = QueryDict(mutable=True)
    query.update(fields)
    url = f"/api/transcriptions?{query.urlencode()}"
    assert api.post(url, MP3, content_type="audio/mpeg").status_code == 202
    assert stored() == expected


def test_false_in_the_form_counts_more_than_true_in_the_query() -> None:
    assert (UploadParams(diarize=False) | UploadParams(diarize=True)).diarize is False
    assert (UploadParams() | UploadParams(diarize=True)).diarize is True


@pytest.mark.parametrize(
    "fields",
    [
        {"speakers": "0"},
        {"speakers": "21"},
        {"max_speakers": "many"},
        {"diarize": "perhaps"},
        {"min_speakers": "3", "max_speakers": "2"},
    ],
)
def test_impossible_numbers_are_422(api: Client, fields: dict[str, str]) -> None:
    assert send(api, "/api/transcriptions", MP3, "a.mp3", **fields).status_code == 422
    assert not Transcription.objects.exists()


def test_numbers_that_contradict_each_other_in_form_and_query_are_422(api: Client) -> None:
    path = "/api/transcriptions?max_speakers=2"
    response = send(api, path, MP3, "a.mp3", min_speakers="3")
    assert (response.status_code, response.json()["code"]) == (422, "invalid_speakers")


def test_direct_uploads_have_the_same_fields(alice: User) -> None:
    body = DirectUploadIn(size=1, speakers=2)
    options = body.params.options_of(alice)
    assert (options.diarize, options.min_speakers, options.max_speakers) == (True, 2, 2)


def test_recording_is_recognized_again_with_speakers(api: Client, finished: Transcription) -> None:
    def again(body: Any) -> Any:
        url = f"/api/transcriptions/{finished.id}/recognize"
        return api.post(url, body, content_type="application/json")

    assert again({"diarize": True, "max_speakers": 3}).status_code == 202
    assert stored() == {"diarize": True, "max_speakers": 3}
    assert again({"min_speakers": 3, "max_speakers": 2}).json()["code"] == "invalid_speakers"
    for body in ('"text"', "7", '{"diarize": ""}', '{"speakers": "2"}', '{"diarize": 0}'):
        assert again(body).status_code == 422
    assert again({"keywords": ["Ada"]}).status_code == 202
    assert stored() == {}


# --- The setting of the user ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "is_wanted"),
    [({}, True), ({"diarize": ""}, True), ({"diarize": "false"}, False), ({"speakers": "2"}, True)],
)
def test_setting_counts_for_uploads_that_do_not_say(
    api: Client, alice: User, fields: dict[str, str], is_wanted: bool
) -> None:
    User.objects.update(detect_speakers=True)
    assert send(api, "/api/transcriptions", MP3, "a.mp3", **fields).status_code == 202
    assert stored().get("diarize", False) == is_wanted


def test_setting_counts_on_every_way_into_the_library(alice: User) -> None:
    alice.detect_speakers = True
    openai = TranscriptionParams.from_form(QueryDict("")).upload
    for params in (UploadParams(), DirectUploadIn(size=1).params, openai, LiveParams()):
        assert params.options_of(alice).diarize
    refused = TranscriptionParams.from_form(QueryDict("diarize=false")).upload
    for params in (refused, LiveParams(diarize=False)):
        assert not params.options_of(alice).diarize


def test_setting_is_no_reason_to_detect_the_speakers_of_an_existing_recording(
    api: Client, finished: Transcription
) -> None:
    User.objects.update(detect_speakers=True)
    url = f"/api/transcriptions/{finished.id}/recognize"
    assert api.post(url, {}, content_type="application/json").status_code == 202
    assert stored() == {}


# --- OpenAI's API -------------------------------------------------------------------------------


def openai_options(query: str) -> dict[str, Any]:
    params = TranscriptionParams.from_form(QueryDict(query))
    return params.upload.options_of(User()).as_json()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {}),
        ("diarize=true&speakers=2", {"diarize": True, "min_speakers": 2, "max_speakers": 2}),
        ("speakers=3&min_speakers=2", {"diarize": True, "min_speakers": 2, "max_speakers": 3}),
        ("response_format=diarized_json", {"diarize": True}),
        ("response_format=diarized_json&diarize=false", {}),
    ],
)
def test_fields_of_our_own_and_the_format_ask_for_speakers(
    query: str, expected: dict[str, Any]
) -> None:
    assert openai_options(query) == expected


@pytest.mark.parametrize("query", ["speakers=0", "max_speakers=21", "min_speakers=-1", "diarize=x"])
def test_invalid_fields_are_named(query: str) -> None:
    with pytest.raises(InvalidParameter) as error:
        TranscriptionParams.from_form(QueryDict(query))
    assert error.value.param == query.split("=")[0]
