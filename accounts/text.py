"""Cleaning and validation of names that users enter: one line, visible, in any script."""

from __future__ import annotations

import re
import unicodedata

from django.utils.translation import gettext

# Invisible, but part of words and emoji: zero-width (non-)joiners of Persian and Indic scripts and
# of family emoji, and the tag characters of flag emoji such as England's.
JOINER = re.compile("[\u200c\u200d\U000e0020-\U000e007f]")
BLANK = "\u115f\u1160\u2800\u3164\uffa0"  # letters and symbols that are rendered blank

# For JSON schemas, whose patterns cannot say all that `validate_display_name` checks.
NOT_BLANK = {"pattern": r"\S"}


def clean_name(name: str, max_length: int = 255) -> str:
    """Collapse white space, remove control characters, and truncate. Return an empty string if
    nothing visible is left."""
    cleaned = " ".join("".join(filter(_is_allowed, name)).split())[:max_length].strip()
    return cleaned if any(map(_is_visible, cleaned)) else ""


def validate_display_name(name: str) -> str:
    """The same, for Pydantic and forms. Raises ValueError if nothing visible is left."""
    cleaned = clean_name(name)
    if not cleaned:
        raise ValueError(gettext("it must contain a visible character"))
    return cleaned


def _is_allowed(character: str) -> bool:
    return character.isprintable() or character.isspace() or bool(JOINER.match(character))


def _is_visible(character: str) -> bool:
    """Whether it is a letter, digit, punctuation mark or symbol; combining marks alone are not."""
    return unicodedata.category(character)[0] in "LNPS" and character not in BLANK
