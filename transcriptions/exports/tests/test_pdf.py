"""PDF documents, read by pypdf."""

from __future__ import annotations

import io
import logging
import re

import pytest
from pypdf import PdfReader

from transcriptions.exports.documents import EXPORTERS
from transcriptions.exports.options import ExportOptions
from transcriptions.exports.pdf import pdf
from transcriptions.exports.reading import RIGHT_TO_LEFT, MissingFontError
from transcriptions.exports.tests.languages import SENTENCES, spoken_in
from transcriptions.exports.tests.talk import TALK, spoken, text_paragraphs
from transcriptions.exports.tests.transcripts import annotation, segment, transcript
from transcriptions.exports.transcript import Transcript

TIBETAN = "འགྲོ་བ་མི་རིགས་རྒྱུད་ཡོངས་ལ་སྐྱེས་ཙམ་ཉིད་ནས།"


def said_in(language: str, times: int = 3) -> Transcript:
    words = tuple(spoken_in(language, speaker="Ann", times=times))
    return transcript(words, language=language, title="A right")


def read(content: bytes) -> PdfReader:
    return PdfReader(io.BytesIO(content), strict=True)


def text_of(reader: PdfReader) -> str:
    return "\n".join(page.extract_text() for page in reader.pages)


def words_in(text: str, among: str = "") -> list[str]:
    """The words of a text in alphabetical order: where it is written from right to left, pypdf
    returns those of a line in the order in which they are seen."""
    found = re.findall(r"[\w\u064b-\u0655\u05b0-\u05c7]+|[^\w\s]", text)
    return sorted(word for word in found if not among or word in words_in(among))


@pytest.mark.parametrize("language", SENTENCES)
def test_text_of_every_script_can_be_copied(
    language: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        reader = read(pdf(said_in(language)))
    assert not caplog.records  # fpdf2 warns of characters that a font does not have
    found, expected = text_of(reader), SENTENCES[language]
    if language in RIGHT_TO_LEFT:
        assert words_in(expected * 3) == words_in(found, among=expected)
    else:
        # pypdf returns the codes of glyphs that are only a part of a character, as characters.
        letters = {letter for letter in expected if letter.isalpha() or not letter.isascii()}
        expected, found = (
            "".join(filter(letters.__contains__, text)) for text in (expected, found)
        )
        assert expected * 3 in found


@pytest.mark.parametrize("language", ["en", "ja", "ar", "hi"])
def test_all_fonts_are_embedded(language: str) -> None:
    for page in read(pdf(said_in(language))).pages:
        fonts = page["/Resources"]["/Font"].values()  # type: ignore[index]
        for font in fonts:
            (descendant,) = font.get_object()["/DescendantFonts"]
            descriptor = descendant.get_object()["/FontDescriptor"]
            assert {"/FontFile2", "/FontFile3"} & descriptor.keys()
            assert "/ToUnicode" in font.get_object()


def test_notes_follow_the_text() -> None:
    noted = annotation("comment", 61.0, 62.0, quote="I am", body="Ζήτω!")
    said = segment(0.0, 4.0, "Good morning.")
    text = text_of(read(pdf(transcript(said, annotations=[noted]))))
    assert text.index("Good morning.") < text.index("Notes") < text.index("Comment  00:01:01")
    assert "“I am” — Ζήτω!" in text


def test_document_has_title_date_language_and_page_numbers() -> None:
    said = list(spoken(text_paragraphs(TALK) * 3, speaker="Ann"))
    reader = read(pdf(transcript(tuple(said)), times=True))
    assert reader.metadata is not None
    assert reader.metadata.title == "A greeting"
    assert str(reader.metadata.creation_date) == "2026-05-04 09:30:00+00:00"
    assert reader.trailer["/Root"]["/Lang"] == "en"  # type: ignore[index]
    assert not reader.outline
    pages = [page.extract_text().strip().split("\n") for page in reader.pages]
    assert pages[0][:2] == ["A greeting", "May 4, 2026 · 0:12 · English"]
    assert pages[0][2].split() == ["Ann", "00:00:00"]
    assert [page[-1] for page in pages] == [str(number) for number in range(1, len(pages) + 1)]
    assert len(pages) > 2
    for page in pages:  # a time belongs to the text below it
        assert not re.search(r"\d\d:\d\d:\d\d", page[-2])


def test_document_has_neither_times_nor_speakers_if_they_are_not_wanted() -> None:
    found = text_of(read(EXPORTERS["pdf"].write(said_in("en"), ExportOptions(speakers=False))))
    assert "Ann" not in found
    assert "00:00" not in found


def test_braces_are_not_replaced_by_the_number_of_pages() -> None:
    said = transcript(segment(0, 1, "Write {nb} and **bold**.", "{nb}"), title="{nb}")
    assert text_of(read(pdf(said))).count("{nb}") == 3


def test_several_scripts_and_symbols_are_in_one_document() -> None:
    said = transcript(segment(0, 1, "Say привет, 你好, नमस्ते and ♪ 😀!"))
    found = text_of(read(pdf(said)))
    for text in ("привет", "नमस्ते", "♪", "😀"):
        assert text in found


@pytest.mark.parametrize(
    "emoji", ["👨\u200d👩\u200d👧\u200d👦", "👩🏿\u200d🚀", "🏳\u200d🌈", "🇩🇪", "👍🏽", "❤\u200d🔥"]
)
def test_emoji_of_several_characters_is_drawn_as_one(emoji: str) -> None:
    said = transcript(
        segment(0, 1, f"Say {emoji} now."),
        title=emoji,
        annotations=[annotation("comment", 0.0, 1.0, quote="q", body=emoji)],
    )
    reader = read(pdf(said))
    assert text_of(reader).count(emoji) == 3
    fonts = reader.pages[0]["/Resources"]["/Font"].values()  # type: ignore[index]
    glyphs = [font.get_object()["/ToUnicode"].get_object().get_data().upper() for font in fonts]
    assert any(f"<{utf_16(emoji)}>".encode() in each for each in glyphs)
    assert not any(f"<{utf_16(emoji[0])}>".encode() in each for each in glyphs)


def utf_16(text: str) -> str:
    """The text in the form of a font's table of glyph texts."""
    return text.encode("utf-16-be").hex().upper()


def test_symbols_without_a_font_are_named_and_letters_are_plain() -> None:
    said = transcript(
        segment(0, 1, "Tick ☐, \U0001fae9 and 1\ufe0f\u20e3.", "☐ Ann"), title="𝗡𝗲𝘄 ☐"
    )
    found = text_of(read(pdf(said)))
    assert found.startswith("New [ballot box]")
    assert "[ballot box] Ann" in found
    assert re.search(r"Tick \[ballot box\], \[[a-z ]*(U\+1FAE9)?\] and 1\.", found)


def test_script_without_a_font_is_refused_and_not_drawn_as_boxes() -> None:
    with pytest.raises(MissingFontError) as caught:
        pdf(transcript(segment(0, 1, TIBETAN), language="bo"))
    assert caught.value.characters[0] == TIBETAN[0]


@pytest.mark.covers("attack", "A transcript has control characters or XML")
def test_any_text_is_a_valid_document() -> None:
    hostile = "a\x00b\x0bc) Tj (\\\ud800\u202e</rdf:RDF>\ufe0f"
    reader = read(pdf(transcript(segment(0, 1, hostile, hostile), title=hostile)))
    assert text_of(reader).count(") Tj (\\ </rdf:RDF>") == 3
    assert reader.xmp_metadata is None or reader.xmp_metadata.dc_title


def test_same_transcript_is_the_same_file() -> None:
    assert pdf(said_in("ru")) == pdf(said_in("ru"))
