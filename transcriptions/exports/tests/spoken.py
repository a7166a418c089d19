"""Words with times for tests."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate

from transcriptions.exports.transcript import TimedWord


def spoken(
    text: str,
    *,
    start: float = 0.0,
    chars_per_second: float = 15.0,
    pauses: dict[str, float] | None = None,
    speaker: str = "",
) -> list[TimedWord]:
    """The words of a text, spoken at one speed. `pauses`: seconds after a word."""
    words, time = list[TimedWord](), start
    for part in text.split():
        end = time + len(part) / chars_per_second
        words.append(TimedWord(round(time, 3), round(end, 3), part, speaker=speaker))
        time = end + 1 / chars_per_second + (pauses or {}).get(part, 0.0)
    return words


def unspaced(text: str, *, chars_per_second: float = 5.0) -> list[TimedWord]:
    """The characters of a text without spaces, as words. Punctuation belongs to the one before."""
    parts = list[str]()
    for char in text:
        if char in "、。，！？" and parts:
            parts[-1] += char
        else:
            parts.append(char)
    ends = [round(end / chars_per_second, 3) for end in accumulate(map(len, parts))]
    starts = [0.0, *ends[:-1]]
    return [
        TimedWord(start, end, part, no_space_before=start > 0)
        for start, end, part in zip(starts, ends, parts, strict=True)
    ]


def conversation(*turns: tuple[str, str], gap: float = 0.3) -> list[TimedWord]:
    """The words of turns, given as (speaker, text), one after another."""
    words = list[TimedWord]()
    for speaker, text in turns:
        start = words[-1].end + gap if words else 0.0
        words += spoken(text, start=start, speaker=speaker)
    return words


def texts(words: Iterable[TimedWord]) -> list[str]:
    """The texts of the words."""
    return [word.text for word in words]
