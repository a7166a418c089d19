"""Characters as readers see them, which can consist of several code points. Imports no Django."""

from __future__ import annotations

import re
import unicodedata

_JOINERS = "\u200d\u1039\u17d2"  # zero width joiner, Myanmar virama, Khmer coeng
# Zero width joiners, skin tones, and the tags of flags such as that of Scotland.
_EXTENDER = re.compile("[\u200d\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]")
_REGIONAL_INDICATOR = "[\U0001f1e6-\U0001f1ff]"  # two of them are a flag
_HALF_FLAG_END = re.compile(
    rf"(?<!{_REGIONAL_INDICATOR})(?:{_REGIONAL_INDICATOR}{{2}})*{_REGIONAL_INDICATOR}\Z"
)
_HALF_FLAG_START = re.compile(_REGIONAL_INDICATOR)


def divides_character(before: str, after: str) -> bool:
    """Whether a break between the two texts is inside what readers see as one character: a letter
    with its marks, letters that are stacked, or an emoji of several parts."""
    if not before or not after:
        return False
    is_mark = unicodedata.category(after[0]).startswith("M")  # also variation selectors, keycaps
    is_joined = before[-1] in _JOINERS or _EXTENDER.match(after)
    return bool(is_mark or is_joined or _divides_flag(before, after))


def _divides_flag(before: str, after: str) -> bool:
    return bool(_HALF_FLAG_START.match(after) and _HALF_FLAG_END.search(before))
