"""What people call things: on one line, with something to be seen, and in any script."""

from __future__ import annotations

# Zero-width, and yet part of words and of emoji: Persian and Indian scripts, families, flags.
JOINERS = "\u200c\u200d"


def clean_name(name: str, longest: int = 255) -> str:
    """Without control characters and surrounding space, and not too long; empty if nothing of it
    can be seen."""
    kept = "".join(c for c in name if c.isprintable() or c in JOINERS).strip()[:longest]
    return kept if kept.strip(JOINERS) else ""


def visible_name(name: str) -> str:
    """The same, for Pydantic. Raises ValueError if nothing of it can be seen."""
    kept = clean_name(name)
    if not kept:
        raise ValueError("it needs a character that can be seen")
    return kept
