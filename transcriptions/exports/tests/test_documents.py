"""The file formats of a transcript."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest

from transcriptions.exports.documents import EXPORTERS
from transcriptions.exports.options import DEFAULT_OPTIONS, ExportOptions
from transcriptions.exports.profiles import PROFILES
from transcriptions.exports.tests.transcripts import annotation, segment, transcript
from transcriptions.exports.timing import retime
from transcriptions.exports.transcript import Transcript

GREETING = transcript(
    segment(0.0, 1.0, "Good morning."),
    segment(2.5, 4.0, "Tom & Jerry are here."),
    segment(6.0, 7.0, "Über alles."),
    segment(8.999, 12.0, "Bye."),
)
EMPTY = Transcript(title="Nothing", language="", duration=3.0, segments=[])


def export(format: str, transcript: Transcript = GREETING) -> str:
    return EXPORTERS[format].write(transcript, DEFAULT_OPTIONS).decode()


def test_json_is_complete_and_not_ascii_escaped() -> None:
    content = export("json")
    assert json.loads(content) == {
        "version": 1,
        "title": "A greeting",
        "language": "en",
        "duration": 12.5,
        "text": "Good morning. Tom & Jerry are here. Über alles. Bye.",
        "speakers": [],
        "segments": GREETING.segments,
        "annotations": [],
    }
    assert "Über" in content


@pytest.mark.parametrize("format", ["srt", "vtt"])
def test_subtitles_have_one_cue_per_segment(format: str) -> None:
    content = export(format)
    assert content.count(" --> ") == 4
    assert "00:00:08" in content


def test_only_webvtt_is_escaped() -> None:
    assert "Tom & Jerry" in export("srt")
    assert "Tom &amp; Jerry" in export("vtt")


@pytest.mark.parametrize(("format", "content"), [("txt", "\n"), ("srt", ""), ("vtt", "WEBVTT\n\n")])
def test_empty_transcript_is_a_valid_file(format: str, content: str) -> None:
    assert export(format, EMPTY) == content


def test_empty_transcript_is_valid_json() -> None:
    document = json.loads(export("json", EMPTY))
    assert (document["text"], document["segments"]) == ("", [])


def test_common_formats_have_media_type_and_encoding() -> None:
    types = {name: exporter.media_type for name, exporter in EXPORTERS.items()}
    assert {name: types[name] for name in ("txt", "md", "docx", "pdf", "srt", "vtt", "json")} == {
        "txt": "text/plain; charset=utf-8",
        "md": "text/markdown; charset=utf-8",
        "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "pdf": "application/pdf",
        "srt": "application/x-subrip; charset=utf-8",
        "vtt": "text/vtt; charset=utf-8",
        "json": "application/json; charset=utf-8",
    }


# Where its paragraphs begin depends on words of English.
STORY = " ".join(
    f"{first} walked along the harbor and looked at the boats for an hour."
    for first in ("We", *["They"] * 3, "Now we", *["They"] * 4)
)
TALK = transcript(
    segment(0.5, 3.1, "Where have you been all this time since you left?", speaker="Ann"),
    segment(3.4, 6.2, "I was in the north of the country, where it rained.", speaker="Bob"),
    segment(10.0, 50.0, STORY, speaker="Ann"),
    annotations=[
        annotation("bookmark", 2.0, 2.0, body="Left"),
        annotation("comment", 3.4, 6.2, body="Where?"),
    ],
)
CHOICES: dict[str, Any] = {
    "profile": PROFILES["social"],
    "language": "zh",
    "speakers": False,
    "times": True,
    "notes": True,
    "karaoke": True,
    "top": True,
    "start": 3.2,
    "end": 9.0,
    "offset": 60.0,
    "stretch": 1.5,
    "frame_rate": 12.5,
}


@pytest.mark.parametrize("format", [name for name in EXPORTERS if EXPORTERS[name].is_text])
def test_format_uses_the_options_that_change_its_file(format: str) -> None:
    exporter = EXPORTERS[format]

    def content(**choices: Any) -> bytes:
        options = ExportOptions(**choices)
        return exporter.write(retime(TALK, options), options)

    assert {*CHOICES} == {field.name for field in fields(ExportOptions)}
    # In documents for reading, some options only change the times.
    changing = {
        name
        for name in CHOICES
        for times in (False, True)
        if content(**{"times": times, name: CHOICES[name]}) != content(times=times)
    }
    assert changing == exporter.uses


@pytest.mark.parametrize("name", ["李明", "محمد علي", "👩‍👩‍👧 Fam", "O'Neil, A."])
@pytest.mark.parametrize("format", EXPORTERS)
def test_names_in_all_scripts_are_exported(format: str, name: str) -> None:
    named = transcript(
        segment(0.0, 1.0, "Good morning.", name),
        segment(2.5, 4.0, "Hello.", "Anna"),
        speakers={1: name, 2: "Anna"},
    )
    content = EXPORTERS[format].write(named, DEFAULT_OPTIONS)
    assert content
    if format in ("csv", "json", "md", "txt", "vtt"):
        assert name in content.decode()
