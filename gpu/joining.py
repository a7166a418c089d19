"""Puts texts together: with a space between them, unless their script has none."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gpu.scripts import CJK

FULL_WIDTH_MARK = "[、。，．：；？！）］｝」』】〕》〉]"  # noqa: RUF001 - a mark contains its space
QUOTE = "[\"'”’»“‘«)(]*"  # noqa: RUF001
# After a mark, or between two characters.
_UNSPACED = re.compile(
    rf"(?:{FULL_WIDTH_MARK}{QUOTE}\n{QUOTE}\w)|(?:[{CJK}]{QUOTE}\n{QUOTE}[{CJK}])"
)
EDGE_CHARS = 8  # that decide on the separator


def separator(before: str, after: str) -> str:
    """The separator of two texts: a space, or nothing."""
    if not before or not after:
        return ""
    edge = f"{before[-EDGE_CHARS:]}\n{after[:EDGE_CHARS]}"
    return "" if _UNSPACED.search(edge) else " "


def join(texts: Iterable[str]) -> str:
    """All texts as one."""
    parts, last = list[str](), ""
    for text in filter(None, texts):
        parts += [separator(last, text), text]
        last = text
    return "".join(parts)


def one_line(text: str) -> str:
    """The text without line breaks: its lines are joined like texts, and other white space is a
    single space."""
    return join(" ".join(line.split()) for line in text.splitlines())
