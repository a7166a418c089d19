"""Subtitles in the format SubRip (SRT). Imports no Django."""

from __future__ import annotations

from collections.abc import Iterable

from transcriptions.exports.cues import Cue
from transcriptions.exports.options import DEFAULT_OPTIONS, ExportOptions
from transcriptions.exports.subtitles import (
    cues_of,
    is_right_to_left,
    plain_lines,
    timestamp,
    without_arrows,
)
from transcriptions.exports.transcript import Transcript

TOP = r"{\an8}"  # a tag of ASS, which SubRip players support
RIGHT_TO_LEFT, END = "\u202b", "\u202c"  # embed text, so that punctuation is on its left


def write(transcript: Transcript, options: ExportOptions) -> bytes:
    """The transcript as SubRip, which has no names of speakers."""
    return srt(cues_of(transcript, options), options).encode()


def srt(cues: Iterable[Cue], options: ExportOptions = DEFAULT_OPTIONS) -> str:
    """A counter from 1, times with a comma, a blank line between cues."""
    return "\n".join(f"{number}\n{_cue(cue, options)}\n" for number, cue in enumerate(cues, 1))


def _cue(cue: Cue, options: ExportOptions) -> str:
    times = f"{timestamp(cue.start, ',')} --> {timestamp(cue.end, ',')}"
    first, *others = map(_line, plain_lines(cue.text))
    return "\n".join([times, f"{TOP}{first}" if options.top else first, *others])


def _line(text: str) -> str:
    safe = without_arrows(text)
    return f"{RIGHT_TO_LEFT}{safe}{END}" if is_right_to_left(safe) else safe
