"""Shared by the subtitle formats. Imports no Django."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import replace

from gpu.joining import join
from transcriptions.exports.cues import Cue
from transcriptions.exports.norms import MILLISECONDS
from transcriptions.exports.options import ExportOptions
from transcriptions.exports.shaping import shape
from transcriptions.exports.transcript import Transcript

LINE_BREAKS = re.compile("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
# Characters that XML does not allow, or that have no meaning in text.
UNPRINTABLE = re.compile("[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\ufffe\uffff\ud800-\udfff]")


def cues_of(
    transcript: Transcript, options: ExportOptions, rate: float = MILLISECONDS
) -> list[Cue]:
    """The cues of a transcript that has the times of the file. `rate`: the time resolution of the
    format, in steps per second. Finer frames would overlap when they are rounded to it."""
    frame_rate = min(options.frame_rate or rate, rate)
    language = options.language or transcript.language
    cues = shape(transcript.words, options.profile, language=language, frame_rate=frame_rate)
    return [*visible(cues, frame_rate)]


def visible(cues: Iterable[Cue], rate: float = MILLISECONDS) -> Iterator[Cue]:
    """The cues with text, each at least a frame long: players reject one that ends where it
    starts."""
    for cue in cues:
        if plain_lines(cue.text):
            yield replace(cue, end=max(cue.end, cue.start + 1 / rate))


def plain_lines(text: str) -> list[str]:
    """The lines with text, without control characters. A blank line would end a cue."""
    lines = LINE_BREAKS.split(UNPRINTABLE.sub("", text))
    return [line.strip() for line in lines if line.strip()]


def one_line(text: str) -> str:
    """The text on one line, without tabs and control characters."""
    return join(plain_lines(text)).replace("\t", " ")


def without_arrows(text: str) -> str:
    """An arrow would start a new cue in SubRip and WebVTT."""
    return re.sub("-{2,}>", "->", text)


def timestamp(seconds: float, decimal_mark: str) -> str:
    """HH:MM:SS and milliseconds."""
    # The total is rounded, not the fraction: a fraction of 0.9996 would become `,1000`.
    total, millis = divmod(round(seconds * 1000), 1000)
    minutes, seconds_left = divmod(total, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds_left:02}{decimal_mark}{millis:03}"


def is_right_to_left(text: str) -> bool:
    """Whether most letters are of a script that is written from right to left. The first letter
    does not decide: it may belong to a foreign name."""
    directions = [unicodedata.bidirectional(char) for char in text]
    return sum(each in ("R", "AL") for each in directions) > directions.count("L")
