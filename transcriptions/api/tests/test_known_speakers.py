"""Speakers that a request to the OpenAI-compatible API names, with a reference for each."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from django.http import QueryDict

from transcodio_site.testing import Media
from transcriptions.api.openai import known_speakers
from transcriptions.api.openai.errors import InvalidParameter
from transcriptions.api.openai.params import TranscriptionParams
from transcriptions.models import SpeakerReference
from transcriptions.testing import MP3, stored_files

NAMES, REFERENCES = "known_speaker_names[]", "known_speaker_references[]"


def data_url(content: bytes, media_type: str = "audio/wav") -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def parse(names: list[str], urls: list[str], **fields: str) -> TranscriptionParams:
    form = QueryDict(mutable=True)
    form.update({"model": "whisper-1", "response_format": "diarized_json"} | fields)
    form.setlist(NAMES, names)
    form.setlist(REFERENCES, urls)
    return TranscriptionParams.from_form(form)


def test_names_and_references_belong_together_in_their_order() -> None:
    urls = [data_url(b"one"), data_url(b"two", "audio/ogg;codecs=opus")]
    known = parse(["Smith, Ann", " Bob "], urls).known_speakers
    assert [(each.name, each.content) for each in known] == [
        ("Smith, Ann", b"one"),
        ("Bob", b"two"),
    ]


def test_lists_may_be_json_or_empty() -> None:
    assert parse(['["Ann"]'], [json.dumps([data_url(b"one")])]).known_speakers[0].name == "Ann"
    assert parse([""], [""]).known_speakers == ()


def test_known_speakers_are_ignored_without_speakers() -> None:
    assert parse(["Ann"], ["no URL"], response_format="json").known_speakers == ()
    assert parse(["Ann"], [data_url(b"1")], response_format="json", diarize="1").known_speakers


@pytest.mark.covers(
    "attack", "A reference of a speaker that is not a data URL, or not valid Base64"
)
@pytest.mark.parametrize(
    ("names", "urls", "param"),
    [
        (["Ann"], [], "known_speaker_references"),
        ([], [data_url(b"1")], "known_speaker_references"),
        (["Ann"], ["https://example.com/ann.wav"], "known_speaker_references"),
        (["Ann"], ["file:///etc/passwd"], "known_speaker_references"),
        (["Ann"], ["data:audio/wav,plain"], "known_speaker_references"),
        (["Ann"], ["[" * 100_000], "known_speaker_references"),
        (["Ann"], ["data:audio/wav;base64,"], "known_speaker_references"),
        (["Ann"], ["data:audio/wav;base64,a*b="], "known_speaker_references"),
        (["Ann", "ann"], [data_url(b"1")] * 2, "known_speaker_names"),
        (["Ann", "\u200b"], [data_url(b"1")] * 2, "known_speaker_names"),
        (list("abcde"), [data_url(b"1")] * 5, "known_speaker_names"),
    ],
)
def test_invalid_known_speakers_are_refused(names: list[str], urls: list[str], param: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        parse(names, urls)
    assert (refused.value.status, refused.value.param) == (400, param)


def decode(*contents: bytes) -> list[SpeakerReference]:
    speakers = [known_speakers.KnownSpeaker(f"S{n}", each) for n, each in enumerate(contents)]
    return known_speakers.decode(tuple(speakers))


@pytest.mark.usefixtures("folders")
def test_references_are_decoded_whatever_their_format(media: Media) -> None:
    paths = [media.speech(f"reference.{extension}", 4.0) for extension in ("mp3", "ogg", "m4a")]
    found = decode(*(path.read_bytes() for path in paths))
    assert [reference.name for reference in found] == ["S0", "S1", "S2"]
    for reference in found:
        assert len(reference.audio) == pytest.approx(4.0 * 48_000, rel=0.05)


@pytest.mark.covers("attack", "A reference of a speaker that is a playlist, damaged, or not media")
@pytest.mark.usefixtures("folders")
def test_references_that_are_no_recording_are_refused(media: Media, settings: Any) -> None:
    playlist = b"#EXTM3U\n#EXTINF:5,\nfile:///etc/passwd\n"
    for content in (b"not media", playlist, media.silent_film("a.mp4").read_bytes(), MP3[:70]):
        with pytest.raises(InvalidParameter, match="The reference of S0 cannot be used"):
            decode(content)
    assert stored_files(settings) == []


@pytest.mark.usefixtures("folders")
def test_references_have_two_to_ten_seconds(media: Media) -> None:
    for seconds in (1.5, 10.5, 30.0):
        with pytest.raises(InvalidParameter, match="must be 2 to 10 seconds"):
            decode(media.speech("reference.mp3", seconds).read_bytes())
    assert len(decode(media.speech("reference.mp3", 10.0).read_bytes())) == 1
