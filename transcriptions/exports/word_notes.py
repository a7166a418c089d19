"""Highlights and comments in DOCX: highlighted text, and Word comments. Imports no Django, but
python-docx."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from docx.document import Document as Docx
from docx.enum.text import WD_COLOR_INDEX
from docx.text.paragraph import Paragraph
from docx.text.run import Run

from transcriptions.exports.reading import Block, clean
from transcriptions.exports.transcript import TimedWord, spaced

HIGHLIGHTS = {
    "yellow": WD_COLOR_INDEX.YELLOW,
    "green": WD_COLOR_INDEX.BRIGHT_GREEN,
    "blue": WD_COLOR_INDEX.TURQUOISE,
    "pink": WD_COLOR_INDEX.PINK,
}
AUTHOR, INITIALS = "Transcodio", "T"

Annotation = dict[str, Any]  # as in AnnotationOut


class AnnotatedText:
    """Writes the words of blocks, one block after the other, in runs that begin and end where the
    annotations do. Words are counted over all blocks."""

    def __init__(self, blocks: Sequence[Block], annotations: Sequence[Annotation]) -> None:
        words = [word for block in blocks for word in block.words]
        self._anchors = list(zip(annotations, anchors(words, annotations), strict=False))
        self._cuts = sorted({n for _, (first, last) in self._anchors for n in (first, last + 1)})
        self._colors = _colors(self._anchors)
        self._written = 0
        self._first_runs: dict[int, Run] = {}  # by the number of their first word
        self._last_runs: dict[int, Run] = {}  # by the number of their last word

    def add_block(self, paragraph: Paragraph, block: Block) -> None:
        """Append the text of the next block to a paragraph."""
        start, end = self._written, self._written + len(block.words)
        texts = [space + clean(word.text) for space, word in spaced(block.words)]
        inside = self._cuts[bisect_right(self._cuts, start) : bisect_left(self._cuts, end)]
        for first, after in pairwise([start, *inside, end]):
            run = paragraph.add_run("".join(texts[first - start : after - start]))
            if first in self._colors:
                run.font.highlight_color = HIGHLIGHTS[self._colors[first]]
            self._first_runs[first] = self._last_runs[after - 1] = run
        self._written = end

    def add_comments(self, document: Docx) -> None:
        """Add the users' comments, after all blocks."""
        for annotation, (first, last) in self._anchors:
            if text := _comment(annotation):
                runs = [self._first_runs[first], self._last_runs[last]]
                comment = document.add_comment(runs, text, AUTHOR, INITIALS)
                # The time of the export would make each file different.
                comment._comment_elm.date = datetime.fromisoformat(annotation["created_at"])


def anchors(
    words: Sequence[TimedWord], annotations: Sequence[Annotation]
) -> Iterator[tuple[int, int]]:
    """The first and the last word of each annotation: those whose middle it contains, or else the
    next one. Nothing if there are no words."""
    order = sorted(range(len(words)), key=lambda n: words[n].start + words[n].end)
    middles = [(words[n].start + words[n].end) / 2 for n in order]
    for annotation in annotations if words else ():
        first = min(bisect_left(middles, annotation["start"]), len(order) - 1)
        found = order[first : max(first + 1, bisect_right(middles, annotation["end"]))]
        yield min(found), max(found)


def _colors(anchored: Sequence[tuple[Annotation, tuple[int, int]]]) -> dict[int, str]:
    """The colors of highlighted words; that of the last highlight, as on the page."""
    return {
        number: annotation["color"]
        for annotation, (first, last) in anchored
        if annotation["color"]
        for number in range(first, last + 1)
    }


def _comment(annotation: Annotation) -> str:
    """The text of the comment; empty if there is none, as for most highlights."""
    lines = filter(None, map(clean, annotation["body"].splitlines()))
    return "\n".join(lines) or ("Bookmark" if annotation["kind"] == "bookmark" else "")
