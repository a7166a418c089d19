"""Markers, read by the library of OpenTimelineIO."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from transcriptions.exports.documents import EXPORTERS
from transcriptions.exports.options import ExportOptions
from transcriptions.exports.tests.transcripts import segment, transcript
from transcriptions.exports.transcript import Transcript

# It has no wheel for Python 3.14.
otio: Any = pytest.importorskip("opentimelineio")

TALK = transcript(
    segment(0.4, 2.1, "Good morning.", "Ann"),
    segment(60.0, 62.5, "Hi,\n“Ann”.", "Bob"),
    segment(63.0, 63.01, "今日は", "Ann"),
)
EMPTY = Transcript(title="Nothing", language="", duration=3.0, segments=[])


def read(source: Transcript, **choices: Any) -> Any:
    content = EXPORTERS["otio"].write(source, ExportOptions(**choices)).decode()
    return otio.adapters.read_from_string(content, "otio_json")


def test_each_segment_is_a_marker() -> None:
    timeline = read(TALK, frame_rate=25.0)
    first, second, third = timeline.tracks.markers
    assert (timeline.name, first.name, first.comment) == (TALK.title, "Good morning.", "Ann")
    assert (second.name, second.comment, third.name) == ("Hi, “Ann”.", "Bob", "今日は")
    assert first.color == third.color != second.color
    marked = first.marked_range
    assert (marked.start_time.value, marked.duration.value, marked.duration.rate) == (10, 43, 25)
    assert third.marked_range.duration.value == 1  # no marker is shorter than a frame
    assert second.marked_range.start_time.to_seconds() == 60


def test_timeline_is_as_long_as_the_recording() -> None:
    (track,) = read(replace(TALK, duration=70.0), frame_rate=25.0).tracks
    assert track.duration().to_seconds() == 70


def test_names_of_speakers_can_be_left_out() -> None:
    assert {marker.comment for marker in read(TALK, speakers=False).tracks.markers} == {""}


def test_transcript_without_words_has_no_markers() -> None:
    assert len(read(EMPTY).tracks.markers) == 0
