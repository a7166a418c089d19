"""Breaks text into lines, in scripts with and without spaces between words. Imports no Django."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator

from gpu.scripts import CJK, UNSPACED
from transcriptions.exports.characters import divides_character
from transcriptions.exports.transcript import TimedWord, spaced

# Marks where a line may end between two words of Thai, Lao, Khmer and Burmese, which only
# dictionaries know. It is removed from the output.
BREAK = "\u200b"
_OPENING = "([{「『（［｛〈《【〔“‘"  # noqa: RUF001
_CLOSING = (  # may not start a line, and neither may small kana
    ")]}」』）］｝〉》】〕”’、。，．：；？！…・ー々ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮ%,.:;?!"  # noqa: RUF001
)
# A Chinese or Japanese character, or a word, with brackets around it and the space before it.
_PIECE = re.compile(
    rf"\s*[{re.escape(_OPENING)}]*(?:[{CJK}]|[^\s{CJK}{BREAK}]+)[{re.escape(_CLOSING)}]*"
)
_UNSPACED = re.compile(f"[{UNSPACED}]")


def breakable(words: Iterable[TimedWord]) -> str:
    """The words as text, with BREAK between those without a space where a line may end."""
    parts, last = list[str](), ""
    for space, word in spaced(words):
        parts += [space or _break(last, word.text), word.text]
        last = word.text
    return "".join(parts)


def _break(before: str, after: str) -> str:
    """BREAK, unless `after` belongs to the letter before it, or is not a letter."""
    edges = _UNSPACED.match(before[-1:]) and _UNSPACED.match(after[:1])
    is_letter = edges and unicodedata.category(after[0]) == "Lo"
    return BREAK if is_letter and not divides_character(before, after) else ""


def broken(text: str, width: float, measure: Callable[[str], float]) -> Iterator[str]:
    """The lines of a text, at most `width` wide. `measure` returns the width of a text."""
    line, used = "", 0.0
    for piece in _pieces(text, width, measure):
        needed = measure(piece)
        if line and used + needed > width:
            yield line
            piece = piece.lstrip()
            line, used = "", 0.0
            needed = measure(piece)
        line, used = line + piece, used + needed
    if line:
        yield line


def _pieces(text: str, width: float, measure: Callable[[str], float]) -> Iterator[str]:
    """The pieces that stay on one line. A piece that is too long for any line is divided."""
    for piece in _PIECE.findall(text):
        while measure(piece) > width:
            count = _fitting(piece, width, measure)
            yield piece[:count]
            piece = piece[count:]
        if piece:
            yield piece


def _fitting(piece: str, width: float, measure: Callable[[str], float]) -> int:
    """How many code points of a piece fit on the first line: at least one, and no character as
    readers see it is divided."""
    count = bisect_right(range(1, len(piece)), width, key=lambda n: measure(piece[:n])) or 1
    while count > 1 and divides_character(piece[:count], piece[count:]):
        count -= 1
    return count
