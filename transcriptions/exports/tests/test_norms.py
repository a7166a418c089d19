"""The quality report about handmade cues."""

from __future__ import annotations

import pytest

from transcriptions.exports.cues import Cue, Line
from transcriptions.exports.norms import Norm, Violation, violations
from transcriptions.exports.profiles import PROFILES
from transcriptions.exports.tests.spoken import spoken, unspaced
from transcriptions.exports.widths import line_width, reading_length

NETFLIX = PROFILES["netflix"]


def cue(start: float, end: float, *lines: str) -> Cue:
    return Cue(start, end, tuple(Line(tuple(spoken(line))) for line in lines))


GOOD = cue(10.0, 12.0, "I am walking along the harbor.")


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        (cue(0, 3, "one", "two", "three"), Violation(Norm.LINES, 3, 2)),
        (cue(0, 3, "x" * 43), Violation(Norm.LINE_LENGTH, 43, 42)),
        (cue(0, 1, "This has 21 letters. "), None),
        (cue(0, 1, "This has 22 letters..!"), Violation(Norm.READING_SPEED, 22, 20)),
        (cue(0, 0.833, "Yes."), Violation(Norm.MIN_DURATION, 0.833, 0.833)),
        (cue(0, 0.834, "Yes."), None),
        (cue(0, 7.001, "Yes."), Violation(Norm.MAX_DURATION, 7.001, 7)),
        (cue(0, 7, "Yes."), None),
        (cue(9, 9.95, "Yes."), Violation(Norm.GAP, 0.05, 0.083)),
        (cue(9, 9.916, "Yes."), None),
        (cue(9, 9.9, "Yes."), Violation(Norm.GAP, 0.1, 0.083)),
        (cue(8, 9.5, "Yes."), None),
        (cue(9, 10.5, "Yes."), Violation(Norm.GAP, -0.5, 0.083)),
    ],
)
def test_each_norm_at_its_limit(bad: Cue, expected: Violation | None) -> None:
    found, of_good = violations([bad, GOOD], NETFLIX)
    assert found == ([expected] if expected else [])
    assert of_good == []


def test_gap_before_the_next_cue_is_that_of_the_cue_before() -> None:
    assert [bool(found) for found in violations([GOOD, cue(12, 14, "Hello.")], NETFLIX)] == [
        True,
        False,
    ]


def test_lines_of_chinese_have_16_characters_and_9_a_second() -> None:
    full = Cue(0, 16 / 9 + 0.001, (Line(tuple(unspaced("港" * 16))),))
    assert violations([full], NETFLIX, language="zh") == [[]]
    longer = Cue(0, 7, (Line(tuple(unspaced("港" * 17))),))
    assert [v.norm for v in violations([longer], NETFLIX, language="zh")[0]] == ["line_length"]
    faster = Cue(0, 16 / 9 - 0.01, (Line(tuple(unspaced("港" * 16))),))
    assert [v.norm for v in violations([faster], NETFLIX, language="zh")[0]] == ["reading_speed"]


def test_japanese_is_read_more_slowly_than_chinese() -> None:
    assert reading_length("港町", "ja") > reading_length("港町", "zh")
    assert reading_length("カメラ", "zh") == reading_length("カメラ", "ja")


def test_combining_marks_and_direction_marks_have_no_width() -> None:
    assert line_width("e\u0301te\u0301") == line_width("été") == 3
    assert line_width("\u202bשלום\u202c") == 4
    assert line_width("ที่") == 1
