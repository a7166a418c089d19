"""DOCX, for word processors. Imports no Django, but python-docx: import this module only when a
document is needed."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import cycle

from docx import Document
from docx.document import Document as Docx
from docx.enum.style import WD_STYLE_TYPE
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Mm, Pt, RGBColor
from docx.styles.style import CharacterStyle, ParagraphStyle
from docx.text.paragraph import Paragraph

from transcriptions.exports.reading import (
    RIGHT_TO_LEFT,
    Block,
    blocks,
    clean,
    details,
)
from transcriptions.exports.transcript import Transcript, language_tag
from transcriptions.exports.word_notes import AnnotatedText

FONT = "Calibri"
# Fonts that Word has for Chinese, Japanese and Korean. Other programs replace them.
EAST_ASIAN_FONTS = {"ja": "Yu Gothic", "ko": "Malgun Gothic", "yue": "Microsoft JhengHei"}
EAST_ASIAN_FONT = "Microsoft YaHei"
COMPLEX_SCRIPT_FONT = "Arial"
GRAY = RGBColor(0x6B, 0x6B, 0x6B)
# Colors for speaker names: dark enough for white paper, and distinguishable for color-blind
# readers.
COLORS = ("1F4E79", "8A3B00", "1B6B3A", "6A1B7A", "7A5C00", "8B1A3A")
MAX_STYLE_NAME_CHARS = 60
EARLIEST = datetime(1980, 1, 1, tzinfo=UTC)  # that ZIP can store


def docx(transcript: Transcript, *, speakers: bool = True, times: bool = False) -> bytes:
    """Title, details and paragraphs, with highlights and comments. Speakers, times and speech have
    separate styles."""
    document = Document()
    _remove_thumbnail(document)
    _set_properties(document, transcript)
    _set_language(document, transcript.language)
    _set_page(document)
    if title := clean(transcript.title):
        document.add_paragraph(title, document.styles["Title"])
    document.add_paragraph(details(transcript), _paragraph_style(document, "Details", 12, GRAY))
    found = list(blocks(transcript, speakers=speakers, times=times))
    _add_blocks(document, found, AnnotatedText(found, transcript.annotations))
    return _as_file(document, transcript.created_at or EARLIEST)


def _remove_thumbnail(document: Docx) -> None:
    """Remove the picture of the first page that python-docx's template contains."""
    relations = document.part.package.rels
    for key, relation in list(relations.items()):
        if relation.reltype == RELATIONSHIP_TYPE.THUMBNAIL:
            del relations[key]


def _set_properties(document: Docx, transcript: Transcript) -> None:
    properties = document.core_properties
    properties.title = clean(transcript.title)[:255]  # the most that python-docx accepts
    properties.language = language_tag(transcript.language)
    properties.author, properties.comments = "Transcodio", ""
    if transcript.created_at:
        # The time of the export would make each file different.
        created_at = transcript.created_at.astimezone(UTC).replace(tzinfo=None)
        properties.created = properties.modified = created_at


def _set_language(document: Docx, language: str) -> None:
    """Language, fonts and direction of all text."""
    run = document.styles.element.find(f".//{qn('w:rPrDefault')}/{qn('w:rPr')}")
    fonts, tag = run.find(qn("w:rFonts")), language_tag(language)
    fonts.attrib.clear()
    for script in ("ascii", "hAnsi"):
        fonts.set(qn(f"w:{script}"), FONT)
    fonts.set(qn("w:eastAsia"), EAST_ASIAN_FONTS.get(language, EAST_ASIAN_FONT))
    fonts.set(qn("w:cs"), COMPLEX_SCRIPT_FONT)
    for scripts in ("val", "eastAsia", "bidi"):
        run.find(qn("w:lang")).set(qn(f"w:{scripts}"), tag)
    if language in RIGHT_TO_LEFT:
        normal = document.styles["Normal"].element
        normal.get_or_add_pPr().append(OxmlElement("w:bidi"))
        normal.get_or_add_rPr().append(OxmlElement("w:rtl"))


def _set_page(document: Docx) -> None:
    """A4 with page numbers."""
    section = document.sections[0]
    section.page_width, section.page_height = Mm(210), Mm(297)
    section.left_margin = section.right_margin = section.top_margin = Mm(25)
    number = OxmlElement("w:fldSimple")
    number.set(qn("w:instr"), "PAGE")
    footer = section.footer.paragraphs[0]
    footer.alignment = WD_ALIGN_PARAGRAPH.CENTER
    footer._p.append(number)
    title = document.styles["Title"]
    title.font.size, title.font.name = Pt(22), FONT


def _add_blocks(document: Docx, found: list[Block], text: AnnotatedText) -> None:
    speech = _paragraph_style(document, "Speech", 8)
    time = _character_style(document, "Time", GRAY)
    speakers = _speaker_styles(document, {block.speaker: None for block in found if block.speaker})
    for block in found:
        paragraph = document.add_paragraph()
        paragraph._p.style = speech.style_id
        if block.time:
            _add_run(paragraph, f"[{block.time}] ", time)
        if block.speaker:
            _add_run(paragraph, f"{block.speaker}:", speakers[block.speaker])
            paragraph.add_run(" ")
        text.add_block(paragraph, block)
    text.add_comments(document)


def _add_run(paragraph: Paragraph, text: str, style: CharacterStyle) -> None:
    """Add text in a style. python-docx would look up the default style each time, which takes a
    millisecond."""
    paragraph.add_run(text)._r.style = style.style_id


def _speaker_styles(document: Docx, names: Iterable[str]) -> dict[str, CharacterStyle]:
    """A style for each speaker, each with its own color, based on a common one."""
    base = _character_style(document, "Speaker")
    base.font.bold = True
    styles = dict[str, CharacterStyle]()
    for number, (name, color) in enumerate(zip(names, cycle(COLORS)), 1):
        # A comma in the name of a style starts a second name, and names are unique.
        shown = re.sub("[,;]", "", name)[:MAX_STYLE_NAME_CHARS]
        style = _character_style(
            document, f"Speaker {number} {shown}".rstrip(), RGBColor.from_string(color)
        )
        style.base_style = base
        styles[name] = style
    return styles


def _paragraph_style(
    document: Docx, name: str, space_after_pt: int, color: RGBColor | None = None
) -> ParagraphStyle:
    style: ParagraphStyle = document.styles.add_style(name, WD_STYLE_TYPE.PARAGRAPH)
    style.base_style = document.styles["Normal"]
    style.paragraph_format.space_after = Pt(space_after_pt)
    style.font.color.rgb = color
    return style


def _character_style(document: Docx, name: str, color: RGBColor | None = None) -> CharacterStyle:
    style: CharacterStyle = document.styles.add_style(name, WD_STYLE_TYPE.CHARACTER)
    style.font.color.rgb = color
    return style


def _as_file(document: Docx, date: datetime) -> bytes:
    """The file, the same each time: python-docx dates its parts with the current time."""
    saved, result = io.BytesIO(), io.BytesIO()
    document.save(saved)
    stamp = max(date.astimezone(UTC), EARLIEST).timetuple()[:6]
    with zipfile.ZipFile(saved) as parts, zipfile.ZipFile(result, "w") as dated:
        for name in parts.namelist():
            part = zipfile.ZipInfo(name, stamp)
            dated.writestr(part, parts.read(name), zipfile.ZIP_DEFLATED)
    return result.getvalue()
