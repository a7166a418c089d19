"""Word documents, read as ZIP and XML."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from typing import Any

import pytest
from lxml import etree

from transcriptions.exports.tests.languages import SENTENCES, spoken_in
from transcriptions.exports.tests.transcripts import annotation, segment, transcript
from transcriptions.exports.transcript import Transcript
from transcriptions.exports.word import docx

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
DIALOG = transcript(
    segment(0.0, 4.0, "Good morning. Who is this?", "Ann"),
    segment(65.9, 70.0, "I am Ben, the baker.", "Ben, Jr."),
    segment(3700.0, 3702.0, "Fine.", "Ann"),
    duration=3723.0,
)


def part(content: bytes, name: str) -> Any:
    """A part of the file as XML."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return etree.fromstring(archive.read(name))


def paragraphs(content: bytes) -> list[tuple[str, list[tuple[str, str]]]]:
    """The style of each paragraph, and the style and text of each of its runs."""
    names = {
        style.get(f"{W}styleId"): style.find(f"{W}name").get(f"{W}val")
        for style in part(content, "word/styles.xml").iter(f"{W}style")
    }

    def style_of(element: Any, properties: str, kind: str) -> str:
        style = element.find(f"{W}{properties}/{W}{kind}")
        return "" if style is None else names[style.get(f"{W}val")]

    return [
        (
            style_of(paragraph, "pPr", "pStyle"),
            [
                (style_of(run, "rPr", "rStyle"), "".join(run.itertext()))
                for run in paragraph.iter(f"{W}r")
            ],
        )
        for paragraph in part(content, "word/document.xml").iter(f"{W}p")
    ]


def said_in(language: str) -> Transcript:
    return transcript(tuple(spoken_in(language)), language=language, title=SENTENCES[language])


def test_document_has_title_details_and_speech_in_styles() -> None:
    assert paragraphs(docx(DIALOG, times=True)) == [
        ("Title", [("", "A greeting")]),
        ("Details", [("", "May 4, 2026 · 1:02:03 · English")]),
        (
            "Speech",
            [
                ("Time", "[00:00:00] "),
                ("Speaker 1 Ann", "Ann:"),
                ("", " "),
                ("", "Good morning. Who is this?"),
            ],
        ),
        (
            "Speech",
            [
                ("Time", "[00:01:05] "),
                ("Speaker 2 Ben Jr.", "Ben, Jr.:"),
                ("", " "),
                ("", "I am Ben, the baker."),
            ],
        ),
        ("Speech", [("Time", "[01:01:40] "), ("Speaker 1 Ann", "Ann:"), ("", " "), ("", "Fine.")]),
    ]


def test_notes_are_highlights_and_comments() -> None:
    noted = replace(
        DIALOG,
        annotations=[
            annotation("highlight", 0.0, 1.6, color="pink"),
            annotation("comment", 1.6, 67.2, body="Who?\n\nAsk."),
            annotation("bookmark", 3701.9, 3701.9),
        ],
    )
    content = docx(noted)
    body = part(content, "word/document.xml")
    (shown,) = body.iter(f"{W}highlight")
    assert shown.get(f"{W}val") == "magenta"
    assert "".join(shown.getparent().getparent().itertext()) == "Good morning."
    comments = part(content, "word/comments.xml").findall(f"{W}comment")
    assert [[*filter(None, map(text_of, each.iter(f"{W}p")))] for each in comments] == [
        *(["Who?", "Ask."], ["Bookmark"]),
    ]
    assert comments[0].get(f"{W}date") == "2026-05-05T08:00:00Z"
    assert [commented(body, each.get(f"{W}id")) for each in comments] == [
        *("Who is this?Ben, Jr.: I am", "Fine."),
    ]
    assert docx(noted) == content


def text_of(element: Any) -> str:
    return "".join(text.text for text in element.iter(f"{W}t"))


def commented(body: Any, number: str) -> str:
    """The text of the document to which a comment refers."""
    texts, is_inside = [], False
    for element in body.iter():
        if element.get(f"{W}id") == number:
            is_inside = element.tag == f"{W}commentRangeStart"
        elif is_inside and element.tag == f"{W}t":
            texts.append(element.text)
    return "".join(texts).strip()


def test_document_has_neither_times_nor_speakers_if_they_are_not_wanted() -> None:
    speech = paragraphs(docx(DIALOG, speakers=False))[2:]
    assert [runs for _, runs in speech] == [
        [("", "Good morning. Who is this?")],
        [("", "I am Ben, the baker.")],
        [("", "Fine.")],
    ]


def test_speakers_with_similar_long_names_have_styles_of_their_own() -> None:
    names = ["x" * 100 + end for end in "ab"]
    content = docx(transcript(*(segment(n, n + 1, "Yes.", name) for n, name in enumerate(names))))
    styles = [runs[0][0] for _, runs in paragraphs(content)[2:]]
    assert len(set(styles)) == 2


def test_properties_name_title_language_and_date() -> None:
    core = part(docx(DIALOG), "docProps/core.xml")
    facts = {etree.QName(element).localname: element.text for element in core}
    assert (facts["title"], facts["language"]) == ("A greeting", "en")
    assert facts["created"] == facts["modified"] == "2026-05-04T09:30:00Z"
    assert "python-docx" not in etree.tostring(core).decode()


@pytest.mark.parametrize(("language", "font"), [("ja", "Yu Gothic"), ("zh", "Microsoft YaHei")])
def test_east_asian_document_has_language_and_font(language: str, font: str) -> None:
    content = docx(said_in(language))
    run = part(content, "word/styles.xml").find(f".//{W}rPrDefault/{W}rPr")
    assert run.find(f"{W}lang").get(f"{W}eastAsia") == language
    assert run.find(f"{W}rFonts").get(f"{W}eastAsia") == font
    assert paragraphs(content)[2][1] == [("", SENTENCES[language])]


@pytest.mark.parametrize("language", ["ar", "fa", "he", "ur"])
def test_right_to_left_document_says_so(language: str) -> None:
    (normal,) = part(docx(said_in(language)), "word/styles.xml").iterfind(
        f"{W}style[@{W}default='1'][@{W}type='paragraph']"
    )
    assert normal.find(f"{W}pPr/{W}bidi") is not None
    assert normal.find(f"{W}rPr/{W}rtl") is not None


def test_pages_have_numbers() -> None:
    (number,) = part(docx(DIALOG), "word/footer1.xml").iter(f"{W}fldSimple")
    assert number.get(f"{W}instr") == "PAGE"


@pytest.mark.covers("attack", "A transcript has control characters or XML")
def test_any_text_is_valid_xml() -> None:
    hostile = "a\x00b\x0bc</w:t>&amp;\ud800\uffff\u202ed"
    said = transcript(segment(0, 1, hostile, hostile), title=hostile)
    content = docx(said)
    cleaned = "a b c</w:t>&amp; d"
    assert paragraphs(content)[0] == ("Title", [("", cleaned)])
    assert [text for _, text in paragraphs(content)[2][1]] == [f"{cleaned}:", " ", cleaned]


def test_same_transcript_is_the_same_file() -> None:
    assert docx(DIALOG) == docx(DIALOG)
    with zipfile.ZipFile(io.BytesIO(docx(DIALOG))) as archive:
        assert {info.date_time for info in archive.infolist()} == {(2026, 5, 4, 9, 30, 0)}
        assert not [name for name in archive.namelist() if "thumbnail" in name]
