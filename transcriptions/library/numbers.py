"""Numbers in addresses and forms."""

from __future__ import annotations

MAX_DIGITS = 9  # Python refuses to convert thousands of them


def parse_number(text: str) -> int | None:
    """The number; None if it is none, or longer than any that a page has."""
    return int(text) if text.isdecimal() and len(text) <= MAX_DIGITS else None
