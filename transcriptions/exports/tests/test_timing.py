"""Offset, stretch, frame rate and range of an export."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcriptions.exports.options import DEFAULT_OPTIONS, ExportOptions
from transcriptions.exports.tests.transcripts import annotation, segment, transcript, word
from transcriptions.exports.timing import retime
from transcriptions.exports.transcript import Transcript, join_words

TALK = transcript(segment(1.0, 3.0, "Good morning."), segment(4.0, 8.0, "We walk along again."))


def texts(exported: Transcript) -> list[str]:
    """The segments, which have the same words as the transcript and the segments' own lists."""
    of_segments = [each["text"] for each in exported.segments]
    assert join_words(exported.words) == " ".join(of_segments)
    in_lists = [word["text"] for each in exported.segments for word in each["words"]]
    assert in_lists == [word.text for word in exported.words]
    return of_segments


def spans(exported: Transcript) -> list[tuple[float, float]]:
    return [(each["start"], each["end"]) for each in exported.segments]


def test_nothing_changes_by_default() -> None:
    assert retime(TALK, DEFAULT_OPTIONS) is TALK


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"offset": 10}, [(11, 13), (14, 18)]),
        ({"stretch": 2}, [(2, 6), (8, 16)]),
        ({"offset": 10, "stretch": 2}, [(12, 16), (18, 26)]),
        ({"stretch": 25 / (24_000 / 1001)}, [(1.0427, 3.1281), (4.1708, 8.3417)]),
    ],
)
def test_times_are_stretched_then_moved(
    options: dict[str, float], expected: list[tuple[float, float]]
) -> None:
    exported = retime(TALK, ExportOptions(**options))  # type: ignore[arg-type]
    assert [tuple(round(time, 4) for time in span) for span in spans(exported)] == expected
    assert texts(exported) == texts(TALK)
    assert (exported.words[0].start, exported.words[-1].end) == (
        exported.segments[0]["words"][0]["start"],
        exported.segments[-1]["words"][-1]["end"],
    )


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"start": 4}, ["We walk along again."]),
        ({"end": 4}, ["Good morning."]),
        ({"start": 1.6, "end": 6.51}, ["morning.", "We walk along"]),  # by the middle of a word
        ({"start": 1.5, "end": 6.5}, ["Good morning.", "We walk"]),
        ({"start": 100}, []),
    ],
)
def test_range_is_exact_to_the_word_and_keeps_times(
    options: dict[str, float], expected: list[str]
) -> None:
    exported = retime(TALK, ExportOptions(**options))  # type: ignore[arg-type]
    assert texts(exported) == expected
    assert {*exported.words} <= {*TALK.words}
    for each in exported.segments:
        assert (each["start"], each["end"]) == (
            each["words"][0]["start"],
            each["words"][-1]["end"],
        )


def test_range_of_a_segment_without_words_of_its_own() -> None:
    """For a segment that has only text, words are created for the export."""
    bare = transcript(segment(1.0, 3.0, "Good morning."))
    bare.segments[0]["words"] = []
    (exported,) = retime(bare, ExportOptions(start=2)).segments
    assert (exported["text"], exported["start"], exported["words"]) == ("morning.", 2.0, [])


def test_notes_in_the_range_have_the_times_of_the_file() -> None:
    noted = [
        annotation("comment", 0.0, 1.0),
        annotation("highlight", 0.5, 1.5),
        annotation("bookmark", 1.0, 1.0),
        annotation("comment", 2.0, 3.0),
    ]
    options = ExportOptions(start=1.0, end=2.0, offset=10.0)
    moved = retime(transcript(segment(0.0, 3.0, "One two three"), annotations=noted), options)
    assert [(each["kind"], each["start"], each["end"]) for each in moved.annotations] == [
        ("highlight", 10.5, 11.5),
        ("bookmark", 11.0, 11.0),
    ]


def test_what_would_end_before_the_file_is_left_out() -> None:
    exported = retime(TALK, ExportOptions(offset=-2.5))
    assert texts(exported) == ["morning.", "We walk along again."]
    assert spans(exported) == [(0.0, 0.5), (1.5, 5.5)]
    assert retime(TALK, ExportOptions(offset=-9)).segments == ()


NUMBERS = st.floats(-50, 50, allow_nan=False)


@given(
    st.lists(st.tuples(st.floats(0, 100), st.floats(0, 5)), min_size=1, max_size=20),
    st.fixed_dictionaries(
        {},
        optional={
            "offset": NUMBERS,
            "stretch": st.floats(0.1, 10),
            "frame_rate": st.sampled_from([24.0, 25.0, 29.97]),
            "start": st.floats(0, 100),
            "end": st.floats(0, 100),
        },
    ),
)
def test_times_stay_in_order_and_never_negative(
    starts: list[tuple[float, float]], choices: dict[str, Any]
) -> None:
    words = tuple(word(start, start + length, "a") for start, length in sorted(starts))
    exported = retime(transcript(words), ExportOptions(**choices))
    times = [each.start for each in exported.words]
    assert times == sorted(times)
    assert all(0 <= each.start <= each.end for each in exported.words)
    assert bool(exported.segments) == bool(exported.words)
