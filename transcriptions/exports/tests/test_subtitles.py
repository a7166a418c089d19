"""Subtitles: to the letter where it matters, and readable back whatever is written."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcriptions.exports.subtitles import Cue, srt, vtt

TWO = [Cue(0.152, 0.772, "Good morning."), Cue(1.372, 5.012, "I am walking along the harbor.")]


def test_subrip_to_the_letter() -> None:
    assert srt(TWO) == (
        "1\n00:00:00,152 --> 00:00:00,772\nGood morning.\n"
        "\n"
        "2\n00:00:01,372 --> 00:00:05,012\nI am walking along the harbor.\n"
    )


def test_webvtt_to_the_letter() -> None:
    assert vtt(TWO) == (
        "WEBVTT\n"
        "\n"
        "00:00:00.152 --> 00:00:00.772\nGood morning.\n"
        "\n"
        "00:00:01.372 --> 00:00:05.012\nI am walking along the harbor.\n"
    )


def test_without_cues_there_is_still_a_file() -> None:
    assert srt([]) == ""
    assert vtt([]) == "WEBVTT\n\n"


@pytest.mark.parametrize(
    ("seconds", "clock"),
    [
        (0, "00:00:00,000"),
        (0.0004, "00:00:00,000"),
        (59.9994, "00:00:59,999"),
        (59.9996, "00:01:00,000"),
        (3599.9999, "01:00:00,000"),
        (3661.5, "01:01:01,500"),
        (99 * 3600 + 59 * 60 + 59.9999, "100:00:00,000"),
        (123 * 3600 + 4, "123:00:04,000"),
    ],
)
def test_milliseconds_are_rounded_once(seconds: float, clock: str) -> None:
    assert srt([Cue(seconds, seconds + 9, "Hi")]).splitlines()[1].startswith(f"{clock} --> ")
    assert (
        vtt([Cue(seconds, seconds + 9, "Hi")]).splitlines()[2].startswith(clock.replace(",", "."))
    )


@pytest.mark.parametrize(
    ("text", "in_srt", "in_vtt"),
    [
        ("Tom & Jerry", "Tom & Jerry", "Tom &amp; Jerry"),
        ("1 < 2 > 0", "1 < 2 > 0", "1 &lt; 2 > 0"),
        ("<v Bob>&lt;", "<v Bob>&lt;", "&lt;v Bob>&amp;lt;"),
        ("one\n\n\ntwo", "one\ntwo", "one\ntwo"),
        ("one\r\n\r\ntwo\r", "one\ntwo", "one\ntwo"),
        ("one\n \t\u2028two", "one\ntwo", "one\ntwo"),
        ("  around  ", "around", "around"),
    ],
)
def test_no_text_breaks_its_file(text: str, in_srt: str, in_vtt: str) -> None:
    assert srt([Cue(0, 1, text)]) == f"1\n00:00:00,000 --> 00:00:01,000\n{in_srt}\n"
    assert vtt([Cue(0, 1, text)]) == f"WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n{in_vtt}\n"


@pytest.mark.parametrize("text", ["a --> b", "---->", "--->", "--\n>", "- - ->", "--\r\n>\n\n-->"])
def test_an_arrow_is_never_in_a_text(text: str) -> None:
    for written in (srt([Cue(0, 1, text)]), vtt([Cue(0, 1, text)])):
        assert written.count("-->") == 1


@pytest.mark.parametrize("text", ["", "  ", "\n\r\n"])
def test_a_cue_without_text_is_left_out_and_the_numbers_go_on(text: str) -> None:
    written = srt([Cue(0, 1, "one"), Cue(1, 2, text), Cue(2, 3, "two")])
    assert re.findall(r"^\d+$", written, re.MULTILINE) == ["1", "2"]
    assert vtt([Cue(1, 2, text)]) == "WEBVTT\n\n"


# --- Read back by a parser of its own -----------------------------------------------------------

SECONDS = st.floats(0, 500_000, allow_nan=False)
CUES = st.lists(st.builds(Cue, SECONDS, SECONDS, st.text(max_size=60)), max_size=12)


def parsed(file: str, mark: str) -> list[Cue]:
    """The cues of an SRT or VTT file, by the letter of their formats."""
    cues = []
    for block in file.split("\n\n"):
        *_, times, payload = ["", *block.strip("\n").split("\n", 2 - (mark == "."))]
        start, end = (seconds(clock, mark) for clock in times.split(" --> "))
        cues.append(Cue(start, end, payload))
    return cues


def seconds(clock: str, mark: str) -> float:
    found = re.fullmatch(rf"(\d\d+):([0-5]\d):([0-5]\d){re.escape(mark)}(\d\d\d)", clock)
    assert found, clock
    hours, minutes, rest, millis = map(int, found.groups())
    return hours * 3600 + minutes * 60 + rest + millis / 1000


@given(CUES)
def test_subrip_is_read_back(cues: list[Cue]) -> None:
    kept = [cue for cue in cues if cue.text.strip()]
    file = srt(cues)
    check(kept, parsed(file, ",") if file else [])
    assert [block.split("\n")[0] for block in file.split("\n\n") if block] == [
        str(number + 1) for number in range(len(kept))
    ]


@given(CUES)
def test_webvtt_is_read_back(cues: list[Cue]) -> None:
    file = vtt(cues).removeprefix("WEBVTT\n\n")
    read = parsed(file, ".") if file else []
    check([cue for cue in cues if cue.text.strip()], read)
    assert not any("<" in cue.text for cue in read)
    for cue in read:
        assert html.unescape(cue.text).strip()


def check(written: list[Cue], read: list[Cue]) -> None:
    """Times within a millisecond, in the same order, each cue with some duration."""
    assert len(read) == len(written)
    for before, after in zip(written, read, strict=True):
        assert after.start == pytest.approx(before.start, abs=0.00051)
        assert after.end == pytest.approx(max(before.end, before.start + 0.001), abs=0.00151)
        assert after.end > after.start
        assert "-->" not in after.text
