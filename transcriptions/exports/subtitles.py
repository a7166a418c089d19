"""Subtitles: cues from segments, and the two formats everybody reads. Knows nothing of Django."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cue:
    """A text and when it is shown, in seconds."""

    start: float
    end: float
    text: str


def srt(cues: Iterable[Cue]) -> str:
    """SubRip: a counter from 1, times with a comma, a blank line between cues."""
    return "\n".join(
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n{_one_block(cue.text)}\n"
        for number, cue in enumerate(_shown(cues), 1)
    )


def vtt(cues: Iterable[Cue]) -> str:
    """WebVTT (https://www.w3.org/TR/webvtt1/): `&` and `<` are escaped, as markup is not meant."""
    return "WEBVTT\n\n" + "\n".join(
        f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n{_escaped(_one_block(cue.text))}\n"
        for cue in _shown(cues)
    )


def _shown(cues: Iterable[Cue]) -> Iterator[Cue]:
    """Cues with a text and a duration: players refuse a cue that ends where it starts."""
    for cue in cues:
        if cue.text.strip():
            yield Cue(cue.start, max(cue.end, cue.start + 0.001), cue.text)


def _clock(seconds: float, mark: str) -> str:
    # Rounded once, in milliseconds: rounding the fraction alone would write `,1000` one day.
    total, millis = divmod(round(seconds * 1000), 1000)
    minutes, seconds_left = divmod(total, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds_left:02}{mark}{millis:03}"


def _one_block(text: str) -> str:
    """A blank line would end the cue, and an arrow would begin a new one."""
    lines = "\n".join(line.strip() for line in text.splitlines() if line.strip())
    return re.sub("-{2,}>", "->", lines)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
