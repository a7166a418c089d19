"""SubRip and WebVTT: exact output, and round trips for any text."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcriptions.exports import subrip, webvtt
from transcriptions.exports.cues import Cue
from transcriptions.exports.subtitles import visible
from transcriptions.exports.tests.transcripts import cue


def srt(cues: list[Cue]) -> str:
    return subrip.srt(visible(cues))


def vtt(cues: list[Cue]) -> str:
    return webvtt.vtt(visible(cues))


TWO_CUES = [cue(0.152, 0.772, "Good morning."), cue(1.372, 5.012, "I am walking along the harbor.")]


def test_subrip_output() -> None:
    assert srt(TWO_CUES) == (
        "1\n00:00:00,152 --> 00:00:00,772\nGood morning.\n"
        "\n"
        "2\n00:00:01,372 --> 00:00:05,012\nI am walking along the harbor.\n"
    )


def test_webvtt_output() -> None:
    assert vtt(TWO_CUES) == (
        "WEBVTT\n"
        "\n"
        "00:00:00.152 --> 00:00:00.772\nGood morning.\n"
        "\n"
        "00:00:01.372 --> 00:00:05.012\nI am walking along the harbor.\n"
    )


def test_no_cues_is_a_valid_file() -> None:
    assert srt([]) == ""
    assert vtt([]) == "WEBVTT\n\n"


@pytest.mark.parametrize(
    ("seconds", "timestamp"),
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
def test_milliseconds_are_rounded_with_carry(seconds: float, timestamp: str) -> None:
    assert srt([cue(seconds, seconds + 9, "Hi")]).splitlines()[1].startswith(f"{timestamp} --> ")
    assert (
        vtt([cue(seconds, seconds + 9, "Hi")])
        .splitlines()[2]
        .startswith(timestamp.replace(",", "."))
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
def test_text_is_escaped_and_blank_lines_are_removed(text: str, in_srt: str, in_vtt: str) -> None:
    assert srt([cue(0, 1, text)]) == f"1\n00:00:00,000 --> 00:00:01,000\n{in_srt}\n"
    assert vtt([cue(0, 1, text)]) == f"WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n{in_vtt}\n"


@pytest.mark.parametrize("text", ["a --> b", "---->", "--->", "--\n>", "- - ->", "--\r\n>\n\n-->"])
def test_arrow_in_text_is_removed(text: str) -> None:
    for file in (srt([cue(0, 1, text)]), vtt([cue(0, 1, text)])):
        assert file.count("-->") == 1


@pytest.mark.parametrize("text", ["", "  ", "\n\r\n", "\x00\x1b\x85\uffff"])
def test_cue_without_text_is_skipped_and_not_numbered(text: str) -> None:
    file = srt([cue(0, 1, "one"), cue(1, 2, text), cue(2, 3, "two")])
    assert re.findall(r"^\d+$", file, re.MULTILINE) == ["1", "2"]
    assert vtt([cue(1, 2, text)]) == "WEBVTT\n\n"


# --- Round trips through an independent parser ---------------------------------------------------

SECONDS = st.floats(0, 500_000, allow_nan=False)
# Without control characters, which are left out.
TEXTS = st.text(
    st.characters(
        exclude_categories=("Cc", "Cs"),
        exclude_characters="\ufffe\uffff",
        include_characters="\t\n\r\v\f",
    ),
    max_size=60,
)
CUES = st.lists(st.builds(cue, SECONDS, SECONDS, TEXTS), max_size=12)


def parse(file: str, decimal_mark: str) -> list[Cue]:
    """The cues of an SRT or VTT file without its header. Follows the format definitions."""
    cues = []
    for block in file.split("\n\n"):
        *_, times, payload = ["", *block.strip("\n").split("\n", 2 - (decimal_mark == "."))]
        start, end = (seconds(timestamp, decimal_mark) for timestamp in times.split(" --> "))
        cues.append(cue(start, end, payload))
    return cues


def seconds(timestamp: str, decimal_mark: str) -> float:
    pattern = rf"(\d\d+):([0-5]\d):([0-5]\d){re.escape(decimal_mark)}(\d\d\d)"
    match = re.fullmatch(pattern, timestamp)
    assert match, timestamp
    hours, minutes, rest, millis = map(int, match.groups())
    return hours * 3600 + minutes * 60 + rest + millis / 1000


@given(CUES)
def test_subrip_round_trip(cues: list[Cue]) -> None:
    visible = [each for each in cues if each.text.strip()]
    file = srt(cues)
    assert_cues_match(visible, parse(file, ",") if file else [])
    assert [block.split("\n")[0] for block in file.split("\n\n") if block] == [
        str(number + 1) for number in range(len(visible))
    ]


@given(CUES)
def test_webvtt_round_trip(cues: list[Cue]) -> None:
    file = vtt(cues).removeprefix("WEBVTT\n\n")
    parsed = parse(file, ".") if file else []
    assert_cues_match([each for each in cues if each.text.strip()], parsed)
    assert not any("<" in each.text for each in parsed)
    for each in parsed:
        assert html.unescape(each.text).strip()


def assert_cues_match(written: list[Cue], parsed: list[Cue]) -> None:
    """Times agree to a millisecond, the order is the same, and every cue has a duration."""
    assert len(parsed) == len(written)
    for before, after in zip(written, parsed, strict=True):
        assert after.start == pytest.approx(before.start, abs=0.00051)
        assert after.end == pytest.approx(max(before.end, before.start + 0.001), abs=0.00151)
        assert after.end > after.start
        assert "-->" not in after.text
