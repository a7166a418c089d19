"""Files with text and subtitles: what is read from them, and how errors in them are described."""

from __future__ import annotations

import json
from typing import Any

import pysubs2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcriptions.editing import text_files
from transcriptions.editing.imported import ImportRefused
from transcriptions.exports import subrip, webvtt
from transcriptions.exports.cues import Cue, Line
from transcriptions.exports.transcript import TimedWord

SRT = """1
00:00:01,000 --> 00:00:02,500
<i>Good morning,</i>
everybody.

2
00:00:03,000 --> 00:00:04,000 X1:40 X2:600
- How many?
- 42
"""
VTT = """WEBVTT - a title

NOTE nobody
sees this

STYLE
::cue { color: red }

intro
00:01.000 --> 00:02.500 align:start
<v Ann>Good &amp; <00:01.500><c>early</c>

1:00:00.000 --> 1:00:01.000
At &lt;last&gt;
"""
ASS = """[Script Info]
ScriptType: v4.00+

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Comment: 0,0:00:00.00,0:00:01.00,Default,,0,0,0,,a remark
Dialogue: 0,0:00:01.00,0:00:02.50,Default,Ann,0,0,0,,{\\i1}Good morning,{\\i0}\\Neverybody
Dialogue: 0,0:00:02.50,0:00:03.00,Default,,0,0,0,,{\\p1}m 0 0 l 100 0 100 100{\\p0}
"""


def cues(content: str | bytes, name: str = "") -> list[tuple[float, float, str]]:
    encoded = content.encode() if isinstance(content, str) else content
    return [(cue.start, cue.end, cue.text) for cue in text_files.read(encoded, name).cues]


def refusal(content: str | bytes, name: str = "") -> tuple[str, str]:
    """Code and message."""
    with pytest.raises(ImportRefused) as refused:
        cues(content, name)
    return refused.value.code, str(refused.value)


def test_subrip_without_styles_counters_and_marks_of_speakers() -> None:
    assert cues(SRT) == [(1.0, 2.5, "Good morning, everybody."), (3.0, 4.0, "How many? 42")]


def test_webvtt_without_comments_names_and_escapes() -> None:
    assert cues(VTT) == [(1.0, 2.5, "Good & early"), (3600.0, 3601.0, "At <last>")]


def test_ass_without_styles_remarks_and_drawings() -> None:
    assert cues(ASS) == [(1.0, 2.5, "Good morning, everybody")]


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (("大家早上好", "今天下雨"), "大家早上好今天下雨"),
        (("おはよう。", "元気ですか"), "おはよう。元気ですか"),
        (("안녕하세요", "반갑습니다"), "안녕하세요 반갑습니다"),
        (("Good morning,", "everybody."), "Good morning, everybody."),
    ],
)
def test_lines_are_joined_by_script(lines: tuple[str, str], text: str) -> None:
    content, times = "\n".join(lines), "00:00:01,000 --> 00:00:02,000"
    ass = ASS.replace("{\\i1}Good morning,{\\i0}\\Neverybody", r"\N".join(lines))
    for file in (
        f"1\n{times}\n{content}\n",
        f"WEBVTT\n\n{times.replace(',', '.')}\n{content}\n",
        ass,
        content,
        json.dumps({"text": content}),
        json.dumps([{"start": 1, "end": 2, "text": content}]),
    ):
        (first, *others) = text_files.read(file.encode()).tokens()
        rest = (f"{'' if token.no_space_before else ' '}{token.text}" for token in others)
        assert first.text + "".join(rest) == text


SEGMENTS = [
    {"start": 1, "end": 2.5, "text": " Good morning."},
    {"start": 0, "end": 1, "text": "So"},
]


@pytest.mark.parametrize("document", [SEGMENTS, {"text": "ignored", "segments": SEGMENTS}])
def test_json_with_segments_in_order_of_time(document: Any) -> None:
    assert cues(json.dumps(document)) == [(0.0, 1.0, "So"), (1.0, 2.5, " Good morning.")]


@pytest.mark.parametrize(
    ("content", "name", "text"),
    [
        ("Good morning.\r\n\r\nSo.", "talk.txt", "Good morning.\n\nSo."),
        ('{"text": "Good morning."}', "", "Good morning."),
        ("[Music] Good morning.", "", "[Music] Good morning."),
        ("Nul\x01 and\x7f bell", "", "Nul and bell"),
    ],
)
def test_plain_text_has_no_times(content: str, name: str, text: str) -> None:
    imported = text_files.read(content.encode(), name)
    assert [cue.text for cue in imported.cues] == [text]
    assert not imported.is_timed
    assert all(token.start is None for token in imported.tokens())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings_are_recognized(encoding: str) -> None:
    text = SRT.replace("Good", "Süß, “gut”")
    assert cues(text.encode(encoding))[0][2].startswith("Süß, “gut”")


def test_utf_16_of_both_byte_orders() -> None:
    assert cues("\ufeffSüß".encode("utf-16-be")) == cues("\ufeffSüß".encode("utf-16-le"))


@pytest.mark.covers("attack", "An imported file that is empty, damaged, or not text")
@pytest.mark.parametrize(
    ("content", "name", "code", "message"),
    [
        (b"", "", "empty_file", "The file is empty."),
        (b" \n", "", "empty_file", "The file is empty."),
        ("1\n00:00:01,000 --> 00:00:02,000\n\n", "", "empty_file", "There is no text"),
        ("a\0b", "", "invalid_encoding", "not a text file"),
        ("Hello".encode("utf-16-le"), "", "invalid_encoding", "not a text file"),
        (b"\xff\xfeH", "", "invalid_encoding", "not a text file"),
        (b"ID3\x81\x8d\x00", "", "invalid_encoding", "not a text file"),
        (SRT.replace("04,000", "02,000"), "", "invalid_subtitles", "Line 7: the end is before"),
        (SRT.replace("04,000", "4"), "", "invalid_subtitles", "Line 7: “00:00:4” is not a time"),
        (SRT.replace("00:00:04", "00:61:04"), "", "invalid_subtitles", "Line 7: “00:61:04"),
        (SRT.replace("00:00:04,000", ""), "", "invalid_subtitles", "Line 7: “X1:40” is not"),
        ("Hello\n" + SRT, "", "invalid_subtitles", "Line 1: there are no times here"),
        ("\nHello", "a.srt", "invalid_subtitles", "Line 2: there are no times here"),
        (VTT.replace("02.500", "00.500"), "", "invalid_subtitles", "Line 10: the end is before"),
        ("WEBVTT\n\nHello", "", "invalid_subtitles", "Line 1: there are no times here"),
        (ASS.replace("02.50,D", "00.50,D"), "", "invalid_subtitles", "Line 7: the end is before"),
        (ASS.replace("0:00:02.50,D", "two,D"), "", "invalid_subtitles", "Line 7: a time is wrong"),
        (ASS.replace(",,0,0,0,,{\\p", ","), "", "invalid_subtitles", "Line 8: there are too few"),
        ("[Script Info]", "", "invalid_subtitles", "Line 1: there is no line that begins"),
        ('{"a": 1,\n}', "", "invalid_json", "Line 2: this is not JSON"),
        ("[1", "a.json", "invalid_json", "Line 1: this is not JSON"),
        ('{"a": 1}', "", "invalid_json", "“segments” or “text”"),
        ("[" * 100_000, "a.json", "invalid_json", "cannot be read"),
        ("[" + "9" * 5000 + "]", "a.json", "invalid_json", "cannot be read"),
        ('[{"start": 2, "end": 1, "text": "a"}]', "", "invalid_json", "Segment 1: the end is"),
        ('[{"start": NaN, "end": 1, "text": "a"}]', "", "invalid_json", "Segment 1: its times"),
        ('[{"start": -1, "end": 1, "text": "a"}]', "", "invalid_json", "Segment 1: its times"),
        ('{"segments": [{"start": 0, "end": 1}]}', "", "invalid_json", "Segment 1: it needs"),
        ('{"segments": [7]}', "", "invalid_json", "Segment 1: it needs"),
    ],
)
def test_faults_are_described_with_their_place(
    content: str | bytes, name: str, code: str, message: str
) -> None:
    found = refusal(content, name)
    assert found[0] == code
    assert message in found[1]


LONG = 300_000
HOSTILE = {
    "tags": "<a" * LONG,
    "overrides": "{\\" * LONG,
    "blank lines": "a" + "\n" * LONG + "b",
    "digits": "1" * LONG + "x",
    "hyphens": "- " * LONG,
}


@pytest.mark.covers("attack", "Subtitles that the patterns of other programs would read for hours")
@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("start", [SRT, ASS.rstrip(), VTT.rstrip()])
def test_hostile_files_are_read_in_one_pass(name: str, start: str) -> None:
    """With quadratic patterns this test would not end."""
    assert cues(start + HOSTILE[name])


WORD = st.text(st.characters(categories=["Ll", "Lu", "Lo", "Nd", "Po"]), min_size=1, max_size=8)


@given(st.lists(st.lists(WORD, min_size=1, max_size=6).map(" ".join), min_size=1, max_size=8))
def test_what_is_exported_or_written_by_pysubs2_is_read_back(texts: list[str]) -> None:
    texts = [text.replace("\\", "/") for text in texts]  # an escape in ASS
    expected = [(n * 2.0, n * 2.0 + 1.5, text) for n, text in enumerate(texts)]
    ours = [Cue(start, end, (Line((TimedWord(start, end, t),)),)) for start, end, t in expected]
    assert cues(subrip.srt(ours)) == expected
    assert cues(webvtt.vtt(ours)) == expected
    written = pysubs2.SSAFile()
    for start, end, text in expected:
        written.append(pysubs2.SSAEvent(round(start * 1000), round(end * 1000), text=text))
    for kind in ("srt", "ass"):
        assert cues(written.to_string(kind)) == expected


def test_minus_is_no_mark_of_a_speaker() -> None:
    srt = "1\n00:00:01,000 --> 00:00:02,000\n-20 degrees, -5 at night.\n-Cold!\n- 42\n"
    assert [text for _, _, text in cues(srt)] == ["-20 degrees, -5 at night. Cold! 42"]
