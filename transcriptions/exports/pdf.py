"""PDF. Imports no Django, but fpdf2: import this module only when a PDF is needed."""

from __future__ import annotations

import re
import tempfile
import unicodedata
from datetime import UTC, datetime
from pathlib import Path

from fpdf import FPDF, ViewerPreferences
from fpdf.enums import TextDirection

from transcriptions.exports.fonts import BOLD, REGULAR, fonts_for, replacements
from transcriptions.exports.lines import breakable, broken
from transcriptions.exports.notes import HEADING, notes
from transcriptions.exports.reading import (
    RIGHT_TO_LEFT,
    Block,
    blocks,
    clean,
    details,
)
from transcriptions.exports.symbols import is_part_of_emoji, with_leading_joiners, without_keycaps
from transcriptions.exports.transcript import Transcript, language_tag

MARGIN_MM = 25.0
TITLE_PT, HEADING_PT, TEXT_PT, LABEL_PT = 20.0, 14.0, 11.0, 9.0
LINE_HEIGHT = 1.45  # relative to the font size
PARAGRAPH_GAP_MM = 3.0
GRAY = 110
UNKNOWN_DATE = datetime(1970, 1, 1, tzinfo=UTC)
MM_PER_PT = 25.4 / 72
# Characters without a shape, which no font has: variation selectors, soft hyphens, ...
_INVISIBLE = re.compile("[\u00ad\u2060-\u2064\ufe00-\ufe0f\ufeff]")


def pdf(transcript: Transcript, *, speakers: bool = True, times: bool = False) -> bytes:
    """Title, details, paragraphs and notes on pages with numbers. Raises MissingFontError."""
    found = list(blocks(transcript, speakers=speakers, times=times))
    with tempfile.TemporaryDirectory() as folder:
        return _Writer(transcript, found, Path(folder)).write()


class _Pages(FPDF):
    """A4 pages with page numbers."""

    def footer(self) -> None:
        """The number of the page, below the text."""
        self.set_y(-MARGIN_MM / 2 - 5)
        self.set_font(style="", size=LABEL_PT)
        self.set_text_color(GRAY)
        self.cell(0, 5, str(self.page_no()), align="C")


class _Writer:
    """Writes one document. Its fonts are in `folder`, and are read until the end."""

    def __init__(self, transcript: Transcript, found: list[Block], folder: Path) -> None:
        self.transcript, self.blocks, self.folder = transcript, found, folder
        self.notes = list(notes(transcript))
        self.replacements = replacements(self._all_text(), transcript.language)
        self.title, self.details = self._visible(transcript.title), details(transcript)
        self.right_to_left = transcript.language in RIGHT_TO_LEFT
        self.align = "R" if self.right_to_left else "L"
        self.pages = _Pages(format="A4")
        self.pages.str_alias_nb_pages = ""  # or `{nb}` in a text would be replaced
        self.pages.set_margin(MARGIN_MM)
        self.pages.set_auto_page_break(True, MARGIN_MM)
        self.pages.c_margin = 0.0
        self.widths: dict[tuple[str, str, float], float] = {}

    def write(self) -> bytes:
        """The file."""
        self._set_metadata()
        self._set_fonts()
        self.pages.add_page()
        if self.title:
            self._text(self.title, TITLE_PT, style="B")
        self._text(self.details, LABEL_PT, color=GRAY)
        for block in self.blocks:
            self.pages.ln(PARAGRAPH_GAP_MM)
            self._block(block)
        self._notes()
        return bytes(self.pages.output())

    def _all_text(self) -> str:
        """All text of the document except our own labels."""
        said = {word.text for block in self.blocks for word in block.words}
        speakers = {block.speaker for block in self.blocks}
        return " ".join([self.transcript.title, *speakers, *said, *(n.text for n in self.notes)])

    def _visible(self, text: str) -> str:
        """The text as it is drawn, without symbols that no font has."""
        return with_leading_joiners(_visible(text).translate(self.replacements))

    def _label(self, block: Block) -> str:
        """The line above a paragraph; empty if there is nothing to say."""
        return "  ".join(filter(None, (self._visible(block.speaker), block.time)))

    def _set_metadata(self) -> None:
        self.pages.set_title(self.title)
        self.pages.set_lang(language_tag(self.transcript.language))
        self.pages.set_creator("Transcodio")
        # The time of the export would make each file different.
        self.pages.set_creation_date(self.transcript.created_at or UNKNOWN_DATE)
        self.pages.viewer_preferences = ViewerPreferences(display_doc_title=True)

    def _set_fonts(self) -> None:
        labels = {self._label(block) for block in self.blocks}
        kinds = [HEADING, *(note.kind for note in self.notes)] if self.notes else []
        bold = "".join([self.title, *labels, *kinds]) + ("0123456789:" if self.notes else "")
        texts = "".join({self._visible(word.text) for block in self.blocks for word in block.words})
        noted = "".join(self._visible(note.text) for note in self.notes)
        regular = f"{self.details} 0123456789{texts}{noted}"
        fonts = fonts_for(regular + bold, self.transcript.language)
        names = [f"f{number}" for number in range(len(fonts))]
        for name, font in zip(names, fonts, strict=True):
            for style, weight, text in (("", REGULAR, regular), ("B", BOLD, bold + " ")):
                path = self.folder / f"{name}{style}.otf"
                path.write_bytes(font.subset(text, weight))
                self.pages.add_font(name, style, path)
        self.pages.set_font(names[0])
        self.pages.set_fallback_fonts(names[1:])
        if any(map(_needs_shaping, set(regular + bold))):
            direction = TextDirection.RTL if self.right_to_left else TextDirection.LTR
            self.pages.set_text_shaping(True, direction=direction)

    def _block(self, block: Block) -> None:
        label = self._label(block)
        self._break_before(2 if label else 1)
        if label:
            self._text(label, LABEL_PT, style="B", color=GRAY)
        self._text(self._visible(breakable(block.words)), TEXT_PT)

    def _notes(self) -> None:
        if self.notes:
            self.pages.ln(2 * PARAGRAPH_GAP_MM)
            self._break_before(4)
            self._text(HEADING, HEADING_PT, style="B")
        for note in self.notes:
            self.pages.ln(PARAGRAPH_GAP_MM)
            self._break_before(2)
            self._text(f"{note.kind}  {note.time}", LABEL_PT, style="B", color=GRAY)
            self._text(self._visible(note.text), TEXT_PT)

    def _break_before(self, lines: int) -> None:
        """Begin a page unless this number of lines fits, so that a label is not the last line of a
        page."""
        if self.pages.will_page_break(lines * TEXT_PT * MM_PER_PT * LINE_HEIGHT):
            self.pages.add_page()

    def _text(self, text: str, size: float, *, style: str = "", color: int = 0) -> None:
        self.pages.set_font(style=style, size=size)
        self.pages.set_text_color(color)
        height = size * MM_PER_PT * LINE_HEIGHT
        for line in broken(text, self.pages.epw, lambda piece: self._width(piece, style, size)):
            # Otherwise fpdf2 2.8 may draw what follows in the font with which the last line ended.
            self.pages.current_font_is_set_on_page = False
            self.pages.cell(0, height, line, align=self.align, new_x="LMARGIN", new_y="NEXT")

    def _width(self, text: str, style: str, size: float) -> float:
        """The width in mm of a text in the current font with this style and size."""
        key = (text, style, size)
        if key not in self.widths:
            self.widths[key] = self.pages.get_string_width(text)
        return self.widths[key]


def _visible(text: str) -> str:
    """The text in one line, without invisible characters."""
    return unicodedata.normalize("NFC", without_keycaps(_INVISIBLE.sub("", clean(text))))


def _needs_shaping(character: str) -> bool:
    """Whether a character is written from right to left, is a mark on a letter, or is a part of an
    emoji."""
    if is_part_of_emoji(character):
        return True
    is_mark = unicodedata.category(character).startswith("M")
    return is_mark or unicodedata.bidirectional(character) in ("R", "AL")
