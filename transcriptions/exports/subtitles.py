"""Subtitles in the formats SubRip and WebVTT. Imports no Django."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

MIN_DURATION_S = 0.001


@dataclass(frozen=True, slots=True)
class Cue:
    """A text and the time span in which it is shown, in seconds."""

    start: float
    end: float
    text: str


def srt(cues: Iterable[Cue]) -> str:
    """SubRip: a counter from 1, times with a comma, a blank line between cues."""
    return "\n".join(
        f"{number}\n{_timing(cue, ',')}\n{_single_block(cue.text)}\n"
        for number, cue in enumerate(_visible(cues), 1)
    )


def vtt(cues: Iterable[Cue]) -> str:
    """WebVTT (https://www.w3.org/TR/webvtt1/). `&` and `<` are escaped: the text has no markup."""
    return "WEBVTT\n\n" + "\n".join(
        f"{_timing(cue, '.')}\n{_escape(_single_block(cue.text))}\n" for cue in _visible(cues)
    )


def _visible(cues: Iterable[Cue]) -> Iterator[Cue]:
    """Cues with text, at least 1 ms long: players reject a cue that ends where it starts."""
    for cue in cues:
        if cue.text.strip():
            yield Cue(cue.start, max(cue.end, cue.start + MIN_DURATION_S), cue.text)


def _timing(cue: Cue, decimal_mark: str) -> str:
    return f"{_timestamp(cue.start, decimal_mark)} --> {_timestamp(cue.end, decimal_mark)}"


def _timestamp(seconds: float, decimal_mark: str) -> str:
    # The total is rounded, not the fraction: a fraction of 0.9996 would become `,1000`.
    total, millis = divmod(round(seconds * 1000), 1000)
    minutes, seconds_left = divmod(total, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds_left:02}{decimal_mark}{millis:03}"


def _single_block(text: str) -> str:
    """Remove blank lines, which would end the cue, and arrows, which would start a new one."""
    lines = "\n".join(line.strip() for line in text.splitlines() if line.strip())
    return re.sub("-{2,}>", "->", lines)


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
