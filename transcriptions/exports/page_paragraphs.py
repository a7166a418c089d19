"""Where paragraphs begin on the page of a transcript. Imports no Django.

`static/js/paragraphs.js` has the same rule, for segments that arrive later: a test compares both.
"""

from __future__ import annotations

FULL_LENGTH = 500  # UTF-16 units, as JavaScript counts: no longer paragraph continues
PAUSE_LENGTH, PAUSE_S = 200, 1.5  # a paragraph of this length ends at a pause


class PageDivision:
    """Divides segments, given in order, into paragraphs of one speaker and channel."""

    def __init__(self) -> None:
        self._voice: tuple[int | None, int | None] | None = None
        self._end = 0.0
        self._length = 0

    def begins_with(
        self,
        *,
        speaker: int | None,
        channel: int | None,
        start: float,
        end: float,
        text: str,
        paragraph: bool | None,
    ) -> bool:
        """Whether a paragraph begins with the next segment; `paragraph`: the users' choice, if
        any."""
        begins = (speaker, channel) != self._voice or self._ends_before(start, paragraph)
        self._voice, self._end = (speaker, channel), end
        self._length = utf16_length(text) + (0 if begins else self._length)
        return begins

    def _ends_before(self, start: float, paragraph: bool | None) -> bool:
        if paragraph is not None:
            return paragraph
        is_pause = start - self._end >= PAUSE_S
        return self._length >= FULL_LENGTH or (self._length >= PAUSE_LENGTH and is_pause)


def utf16_length(text: str) -> int:
    """The length of a text in JavaScript."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2
