"""What the formats of subtitles have in common. Imports no Django."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from transcriptions.exports.cues import Cue
from transcriptions.exports.options import ExportOptions
from transcriptions.exports.shaping import shape
from transcriptions.exports.transcript import Transcript

MILLISECONDS = 1000.0  # per second: the frame rate of files without frames


def cues_of(transcript: Transcript, options: ExportOptions) -> list[Cue]:
    """The cues of a transcript that has the times of the file."""
    rate = options.frame_rate or MILLISECONDS
    language = options.language or transcript.language
    cues = shape(transcript.words, options.profile, language=language, frame_rate=rate)
    return [*visible(cues, rate)]


def visible(cues: Iterable[Cue], rate: float = MILLISECONDS) -> Iterator[Cue]:
    """The cues with text, each at least a frame long: players reject one that ends where it
    starts."""
    for cue in cues:
        if cue.text.strip():
            yield replace(cue, end=max(cue.end, cue.start + 1 / rate))


def timestamp(seconds: float, decimal_mark: str) -> str:
    """HH:MM:SS and milliseconds."""
    # The total is rounded, not the fraction: a fraction of 0.9996 would become `,1000`.
    total, millis = divmod(round(seconds * 1000), 1000)
    minutes, seconds_left = divmod(total, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds_left:02}{decimal_mark}{millis:03}"


def single_block(text: str) -> str:
    """Remove blank lines, which would end the cue, and arrows, which would start a new one."""
    lines = "\n".join(line.strip() for line in text.splitlines() if line.strip())
    return re.sub("-{2,}>", "->", lines)
