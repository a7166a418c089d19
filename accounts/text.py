"""What people call things: on one line, with something to be seen, and in any script."""

from __future__ import annotations

import re
import unicodedata

# Without ink, and yet part of words and of emoji: Persian and Indian scripts, families, and the
# tags that turn a black flag into England's.
JOINER = re.compile("[\u200c\u200d\U000e0020-\U000e007f]")
BLANK = "\u115f\u1160\u2800\u3164\uffa0"  # letters and a symbol, says Unicode, and nothing to see


def clean_name(name: str, longest: int = 255) -> str:
    """With single spaces, without control characters, and not too long; empty if nothing of it can
    be seen."""
    kept = " ".join("".join(filter(_belongs, name)).split())[:longest].strip()
    return kept if any(map(_has_ink, kept)) else ""


def validate_display_name(name: str) -> str:
    """The same, for Pydantic and forms. Raises ValueError if nothing of it can be seen."""
    kept = clean_name(name)
    if not kept:
        raise ValueError("it needs a character that can be seen")
    return kept


def _belongs(character: str) -> bool:
    return character.isprintable() or character.isspace() or bool(JOINER.match(character))


def _has_ink(character: str) -> bool:
    """Whether it is a letter, digit, punctuation or symbol, and not an accent of nothing."""
    return unicodedata.category(character)[0] in "LNPS" and character not in BLANK
