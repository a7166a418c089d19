"""Emoji and other symbols in PDF documents. Imports no Django."""

from __future__ import annotations

import re
import unicodedata

JOINER = "\u200d"  # of several emoji that are drawn as one, and of letters in some scripts
_EMOJI = "\u203c-\u3299\U0001f000-\U0001faff"
_TONES = "\U0001f3fb-\U0001f3ff"
_ONE = f"(?![{_TONES}])[{_EMOJI}][{_TONES}]?"
_JOINED = re.compile(f"{JOINER}?({_ONE}(?:{JOINER}{_ONE})+)")
_KEYCAP = re.compile("(?<=[0-9#*])\u20e3")
# Parts of flags, skin tones, and tags, which have a meaning only with others.
_PART = re.compile(f"[{JOINER}\U0001f1e6-\U0001f1ff{_TONES}\U000e0020-\U000e007f]")


def joins_only_emoji(text: str) -> bool:
    """Whether the text has joiners, all of them in emoji."""
    return JOINER in text and JOINER not in _JOINED.sub("", text)


def with_leading_joiners(text: str) -> str:
    """The text with another joiner before joined emoji: fpdf2 2.8 begins a run of letters at the
    first joiner after other text, and an emoji that is in two runs is drawn in parts."""
    return _JOINED.sub(f"{JOINER}\\1", text)


def is_part_of_emoji(character: str) -> bool:
    """Whether fonts draw the character only together with others."""
    return _PART.match(character) is not None


def without_keycaps(text: str) -> str:
    """Digits instead of keycap emoji: an empty key would be drawn after each."""
    return _KEYCAP.sub("", text)


def replaceable(text: str) -> set[int]:
    """The code points that can be replaced: symbols, and letters that are only a styled form of
    others. Emoji that are newer than Python have no category yet."""
    return {ord(character) for character in set(text) if _is_symbol(character) or _plain(character)}


def replacement(code_point: int) -> str:
    """`[ballot box]`, or `[emoji U+1FAE9]`; `A` for a mathematical one."""
    name = unicodedata.name(chr(code_point), "").lower()
    return _plain(chr(code_point)) or f"[{name or f'emoji U+{code_point:04X}'}]"


def _is_symbol(character: str) -> bool:
    is_symbol = unicodedata.category(character).startswith("S")
    return not character.isascii() and (is_symbol or _is_new_emoji(character))


def _plain(character: str) -> str:
    """The letter of which this one is a styled form, or an empty string."""
    is_style = unicodedata.decomposition(character).startswith("<font>")
    return unicodedata.normalize("NFKC", character) if is_style else ""


def _is_new_emoji(character: str) -> bool:
    is_assigned = unicodedata.category(character) != "Cn"
    return not is_assigned and re.match(f"[{_EMOJI}]", character) is not None
