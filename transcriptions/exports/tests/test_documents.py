"""A transcript as a file, in each of its formats."""

from __future__ import annotations

import json
from typing import Any

import pytest

from transcriptions.exports.documents import EXPORTERS
from transcriptions.exports.transcript import Transcript


def segment(start: float, end: float, text: str) -> dict[str, Any]:
    return {"id": int(start) + 1, "start": start, "end": end, "text": text, "words": []}


LETTER = Transcript(
    title="A letter",
    language="en",
    duration=12.5,
    segments=[
        segment(0.0, 1.0, "Good morning."),
        segment(2.5, 4.0, "Tom & Jerry are here."),
        segment(6.0, 7.0, "Über alles."),
        segment(8.999, 12.0, "Bye."),
    ],
)
SILENCE = Transcript(title="Nothing", language="", duration=3.0, segments=[])


def written(format: str, transcript: Transcript = LETTER) -> str:
    return EXPORTERS[format].write(transcript)


def test_text_has_a_paragraph_for_each_pause_of_two_seconds() -> None:
    assert written("txt") == (
        "Good morning. Tom & Jerry are here.\n\nÜber alles. Bye.\n"  # 2 s, then 1.999 s
    )


def test_json_says_all_and_keeps_every_letter() -> None:
    file = written("json")
    assert json.loads(file) == {
        "title": "A letter",
        "language": "en",
        "duration": 12.5,
        "text": "Good morning. Tom & Jerry are here. Über alles. Bye.",
        "segments": LETTER.segments,
    }
    assert "Über" in file


@pytest.mark.parametrize("format", ["srt", "vtt"])
def test_subtitles_have_a_cue_for_each_segment(format: str) -> None:
    file = written(format)
    assert file.count(" --> ") == 4
    assert "00:00:08" in file


def test_only_webvtt_is_escaped() -> None:
    assert "Tom & Jerry" in written("srt")
    assert "Tom &amp; Jerry" in written("vtt")


@pytest.mark.parametrize(("format", "file"), [("txt", "\n"), ("srt", ""), ("vtt", "WEBVTT\n\n")])
def test_an_empty_transcript_is_an_empty_file_of_its_format(format: str, file: str) -> None:
    assert written(format, SILENCE) == file


def test_an_empty_transcript_is_json_all_the_same() -> None:
    document = json.loads(written("json", SILENCE))
    assert (document["text"], document["segments"]) == ("", [])


def test_every_format_names_its_media_type_and_encoding() -> None:
    types = {name: exporter.media_type for name, exporter in EXPORTERS.items()}
    assert types == {
        "txt": "text/plain; charset=utf-8",
        "srt": "application/x-subrip; charset=utf-8",
        "vtt": "text/vtt; charset=utf-8",
        "json": "application/json; charset=utf-8",
    }
