"""The file formats of a transcript."""

from __future__ import annotations

import json

import pytest

from transcriptions.exports.documents import EXPORTERS
from transcriptions.exports.options import DEFAULT_OPTIONS
from transcriptions.exports.tests.transcripts import segment, transcript
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
        "segments": GREETING.segments,
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
