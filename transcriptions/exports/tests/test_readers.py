"""Every subtitle format, read by other programs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from fractions import Fraction
from html import unescape
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree as ET

import pysubs2
import pytest
import srt
import webvtt
from ttconv import model
from ttconv.imsc import reader

from transcriptions.exports import ass, subrip, ttml
from transcriptions.exports import webvtt as our_webvtt
from transcriptions.exports.cues import Cue, Line
from transcriptions.exports.documents import EXPORTERS
from transcriptions.exports.options import ExportOptions
from transcriptions.exports.profiles import PROFILES
from transcriptions.exports.subtitles import is_right_to_left, visible
from transcriptions.exports.tests.transcripts import cue, segment, transcript, word

Read = tuple[float, float, str]  # start and end in seconds, and the text
TALK = transcript(segment(0.4, 2.1, "Good morning."), segment(3600, 3602.5, "We walk along."))
DIALOGUE = cue(1, 2, ("Ann", "Hello."), ("Bob", "Hi."))
HOSTILE = [
    "a --> b",
    "one\n\n\ntwo",
    "{\\an8}top",
    "\\Nbreak\\n\\hspace",
    "C:\\new\\",
    "{unclosed",
    "<i>italic</i> & <v Bob>",
    "]]> <!-- --> <?xml?> &lt; \"'",
    "\x00nothing\x0b\x1b[31m\x7f\ufffe",
    "00:00:00.000 --> 00:00:09.000\nNOTE x",
    "WEBVTT\n\nSTYLE\n::cue {}",
    "Dialogue: 0,0:00:00.00,0:00:01.00,Default,,0,0,0,,x\n[Fonts]",
    "1\n00:00:01,000 --> 00:00:02,000\nx",
    "tab\there, comma",
]


# --- Readers: other programs --------------------------------------------------------------------


def read_srt(content: str) -> list[Read]:
    return [
        (each.start / timedelta(seconds=1), each.end / timedelta(seconds=1), each.content)
        for each in srt.parse(content, ignore_errors=False)
    ]


def read_vtt(content: str) -> list[Read]:
    def seconds(timestamp: str) -> float:
        time: timedelta = srt.srt_timestamp_to_timedelta(timestamp.replace(".", ","))
        return time / timedelta(seconds=1)

    return [
        (seconds(each.start), seconds(each.end), unescape(each.text))
        for each in webvtt.from_string(content).captions
    ]


def read_ass(content: str) -> list[Read]:
    events = pysubs2.SSAFile.from_string(content, format_="ass")
    return [(each.start / 1000, each.end / 1000, each.plaintext) for each in events]


def parsed(content: bytes) -> ET.Element:
    return ET.fromstring(content)  # noqa: S314 - we have written it


def paragraphs(content: bytes) -> Iterator[model.P]:
    """The paragraphs of a TTML document."""
    document = reader.to_model(ET.ElementTree(parsed(content)))
    assert document is not None
    body = document.get_body()
    assert body is not None
    return (each for each in body.dfs_iterator() if isinstance(each, model.P))


def text_of(paragraph: model.P) -> str:
    parts = {model.Br: lambda _: "\n", model.Text: lambda each: each.get_text()}
    return "".join(
        parts[type(each)](each) for each in paragraph.dfs_iterator() if type(each) in parts
    )


def read_ttml(content: str) -> list[Read]:
    return [
        (float(each.get_begin() or 0), float(each.get_end()), text_of(each))
        for each in paragraphs(content.encode())
    ]


READERS: dict[str, Callable[[str], list[Read]]] = {
    "srt": read_srt,
    "vtt": read_vtt,
    "ass": read_ass,
    "ttml": read_ttml,
}


def written(format: str, cues: list[Cue], **choices: Any) -> str:
    """The cues as a file."""
    options, shown = ExportOptions(**choices), [*visible(cues)]
    return {
        "srt": lambda: subrip.srt(shown, options),
        "vtt": lambda: our_webvtt.vtt(shown, options),
        "ass": lambda: ass.ass(shown, options),
        "ttml": lambda: ttml.ttml(shown, TALK, options).decode(),
    }[format]()


# --- All formats ----------------------------------------------------------------------------------


@pytest.mark.parametrize("format", READERS)
def test_times_and_lines_are_read_back(format: str) -> None:
    cues = [
        cue(0.41, 2.1, "Good", "morning."),
        cue(3661.5, 3662, "Tom & Jerry"),
        cue(4000, 359_999, "z"),
    ]
    read = READERS[format](written(format, cues))
    assert read == [
        (0.41, 2.1, "Good\nmorning."),
        (3661.5, 3662.0, "Tom & Jerry"),
        (4000.0, 359_999.0, "z"),
    ]


@pytest.mark.parametrize("format", READERS)
def test_all_words_of_a_transcript_are_in_the_file(format: str) -> None:
    content = EXPORTERS[format].write(TALK, ExportOptions()).decode()
    read = READERS[format](content)
    assert " ".join(text.replace("\n", " ") for _, _, text in read) == (
        "Good morning. We walk along."
    )
    assert all(start < end for start, end, _ in read)


@pytest.mark.parametrize("format", READERS)
def test_times_are_frames_as_exactly_as_the_format_has_them(format: str) -> None:
    rate, rounding = 24_000 / 1001, 0.0051 if format == "ass" else 0.00051
    content = EXPORTERS[format].write(TALK, ExportOptions(frame_rate=rate)).decode()
    for start, end, _ in READERS[format](content):
        for time in (start, end):
            assert time == pytest.approx(round(time * rate) / rate, abs=rounding)


@pytest.mark.covers("attack", "A transcript has commands or structure of a subtitle format")
@pytest.mark.parametrize("format", READERS)
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_in_its_cue(format: str, text: str) -> None:
    name = text.replace("\n", " ")
    cues = [cue(0, 1, "before"), cue(1, 2, (name, text), ("B", "second")), cue(2, 3, "after")]
    read = READERS[format](written(format, cues))
    assert [(start, end) for start, end, _ in read] == [(0, 1), (1, 2), (2, 3)]
    assert (read[0][2], read[2][2]) == ("before", "after")
    shown = read[1][2]
    assert shown.endswith("-second")
    letters = [char for char in text if char.isalnum()]
    assert [char for char in shown.removesuffix("-second") if char.isalnum()] == letters


@pytest.mark.parametrize("format", READERS)
def test_empty_transcript_has_no_cues(format: str) -> None:
    empty = EXPORTERS[format].write(transcript(), ExportOptions()).decode()
    assert READERS[format](empty) == []


def test_most_letters_decide_the_direction() -> None:
    for text in ("مرحبا", "iPhone הוא טלפון חדש", "سلام، you!", "- آپ کیسے ہیں؟"):
        assert is_right_to_left(text), text
    for text in ("", "123 ...", "Hello", "We say shalom (שלום) there."):
        assert not is_right_to_left(text), text


# --- SubRip -------------------------------------------------------------------------------------


def test_right_to_left_lines_of_srt_have_marks() -> None:
    cues = [cue(0, 1, "تشكر.", "Hello."), cue(1, 2, ("A", "שלום!"), ("B", "آپ"))]
    texts = [text for _, _, text in read_srt(written("srt", cues))]
    assert texts == ["\u202bتشكر.\u202c\nHello.", "\u202b-שלום!\u202c\n\u202b-آپ\u202c"]


def test_names_of_speakers_are_not_in_srt() -> None:
    assert read_srt(written("srt", [DIALOGUE])) == [(1, 2, "-Hello.\n-Hi.")]


@pytest.mark.parametrize("top", [False, True])
def test_subtitles_at_the_top(top: bool) -> None:
    cues = [cue(1, 2, ("Hello.", "Hi."))]
    content = {name: written(name, cues, top=top) for name in ("srt", "vtt", "ass", "ttml")}
    assert [sub.content.startswith(r"{\an8}") for sub in srt.parse(content["srt"])] == [top]
    assert content["srt"].count(r"{\an8}") == top
    assert (" --> 00:00:02.000 line:0\n" in content["vtt"]) == top
    assert [caption.text for caption in webvtt.from_string(content["vtt"]).captions]
    style = pysubs2.SSAFile.from_string(content["ass"]).styles["Default"]
    assert style.alignment == (pysubs2.Alignment.TOP_CENTER if top else 2)
    (paragraph,) = paragraphs(content["ttml"].encode())
    region = paragraph.get_region()
    assert region is not None
    assert region.get_id() == ("top" if top else "bottom")


# --- WebVTT -------------------------------------------------------------------------------------


def test_lines_of_vtt_have_their_speaker() -> None:
    content = written("vtt", [DIALOGUE, cue(2, 3, ("Tom & <Jerry>", "Hi."))])
    assert "<v Ann>-Hello.</v>\n<v Bob>-Hi.</v>\n" in content
    first, second = webvtt.from_string(content).captions
    assert (first.voice, first.text) == ("Ann", "-Hello.\n-Hi.")
    assert unescape(second.voice or "") == "Tom & <Jerry>"
    assert "<v" not in written("vtt", [DIALOGUE], speakers=False)


def test_right_to_left_lines_of_vtt_have_no_marks() -> None:
    assert read_vtt(written("vtt", [cue(0, 1, "مرحبا بكم.")])) == [(0, 1, "مرحبا بكم.")]


def karaoke(*words: Any) -> str:
    content = written("vtt", [Cue(1, 4, (Line(words),))], karaoke=True)
    return content.removeprefix("WEBVTT\n\n00:00:01.000 --> 00:00:04.000\n").removesuffix("\n")


def test_words_of_karaoke_have_times_that_increase_within_the_cue() -> None:
    timed = karaoke(
        word(1, 1.5, "One"), word(1.5, 2, "<two>"), word(1.5, 2, "three"), word(9, 9.5, "four")
    )
    assert timed == "One <00:00:01.500>&lt;two> three four"
    assert karaoke(word(1.2, 2, "你"), word(2, 3, "好", no_space_before=True)) == (
        "<00:00:01.200>你<00:00:02.000>好"
    )


# --- ASS ----------------------------------------------------------------------------------------


def test_speakers_of_ass_have_styles_of_their_own() -> None:
    cues = [DIALOGUE, cue(2, 3, ("Bob", "Bye.")), cue(3, 4, "Music.")]
    file = pysubs2.SSAFile.from_string(written("ass", cues))
    assert [*file.styles] == ["Default", "Speaker 1", "Speaker 2"]
    assert len({str(file.styles[name].primarycolor) for name in ("Speaker 1", "Speaker 2")}) == 2
    assert [(each.style, each.name) for each in file] == [
        ("Speaker 1", "Ann"),
        ("Speaker 2", "Bob"),
        ("Default", ""),
    ]
    assert file[0].text == "-Hello.\\N{\\rSpeaker 2}-Hi."


@pytest.mark.parametrize("cues", [[cue(0, 1, ("Ann", "a"))], [DIALOGUE]])
def test_ass_has_one_style_without_names_or_with_one_speaker(cues: list[Cue]) -> None:
    file = pysubs2.SSAFile.from_string(written("ass", cues, speakers=cues != [DIALOGUE]))
    assert [*file.styles] == ["Default"]
    assert "{" not in file[0].text


def test_ass_is_written_for_1080_lines_and_finds_the_direction() -> None:
    file = pysubs2.SSAFile.from_string(written("ass", [cue(0, 1, "Hello")]))
    assert (file.info["PlayResX"], file.info["PlayResY"]) == ("1920", "1080")
    assert file.styles["Default"].encoding == 1
    arabic = pysubs2.SSAFile.from_string(written("ass", [cue(0, 1, "مرحبا")]))
    assert {style.encoding for style in arabic.styles.values()} == {-1}


# --- TTML ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", HOSTILE)
def test_ttml_is_valid_for_ttconv(text: str, caplog: pytest.LogCaptureFixture) -> None:
    """ttconv logs whatever violates the specifications."""
    with caplog.at_level(logging.INFO):
        read_ttml(written("ttml", [cue(0, 1, ("Ann", text), ("Bob", "مرحبا"))]))
        read_ttml(written("ttml", [cue(0, 1, text)], frame_rate=24_000 / 1001))
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("rate", "attributes"),
    [
        (25.0, ("25", None)),
        (24_000 / 1001, ("24", "1000 1001")),
        (60_000 / 1001, ("60", "1000 1001")),
        (12.5, ("13", "25 26")),
    ],
)
def test_times_of_ttml_are_frames(rate: float, attributes: tuple[str, str | None]) -> None:
    cues = [cue(24 / rate, 3600 * 25 / rate, "Hello")]
    content = written("ttml", cues, frame_rate=rate)
    root = parsed(content.encode())
    parameter = "{http://www.w3.org/ns/ttml#parameter}"
    assert attributes == (
        root.get(f"{parameter}frameRate"),
        root.get(f"{parameter}frameRateMultiplier"),
    )
    (paragraph,) = paragraphs(content.encode())
    exact = Fraction(rate).limit_denominator(1001)
    assert (paragraph.get_begin(), paragraph.get_end()) == (24 / exact, 3600 * 25 / exact)


def test_ttml_has_profile_language_direction_and_speakers() -> None:
    content = written("ttml", [cue(0, 1, ("Ann", "مرحبا"))])
    root = parsed(content.encode())
    assert root.get("{http://www.w3.org/ns/ttml#parameter}contentProfiles") == ttml.PROFILE
    assert root.get("{http://www.w3.org/XML/1998/namespace}lang") == "en"
    assert ('xml:id="speaker1"' in content, ">Ann<" in content) == (True, True)
    assert 'span ttm:agent="speaker1"' in content
    (paragraph,) = paragraphs(content.encode())
    styles = {style.__name__: paragraph.get_style(style) for style in paragraph.iter_styles()}
    assert "rtl" in str(styles["Direction"])
    assert "Ann" not in written("ttml", [cue(0, 1, ("Ann", "Hi."))], speakers=False)


@pytest.mark.parametrize("profile", ["social", "verbatim"])
def test_ass_has_no_overlaps_at_high_frame_rates(profile: str) -> None:
    words = tuple(
        word(n / 240, (n + 1) / 240, "Yes.", speaker=("Ann", "Bob")[n % 2]) for n in range(40)
    )
    options = ExportOptions(profile=PROFILES[profile], frame_rate=240.0)
    events = read_ass(ass.write(transcript(words), options).decode())
    assert len(events) > 1
    for one, two in pairwise(events):
        assert one[1] <= two[0]
