"""Subtitles in the format SubRip (SRT). Imports no Django."""

from __future__ import annotations

from collections.abc import Iterable

from transcriptions.exports.cues import Cue
from transcriptions.exports.options import ExportOptions
from transcriptions.exports.subtitles import cues_of, single_block, timestamp
from transcriptions.exports.transcript import Transcript


def write(transcript: Transcript, options: ExportOptions) -> bytes:
    """The transcript as SubRip."""
    return srt(cues_of(transcript, options)).encode()


def srt(cues: Iterable[Cue]) -> str:
    """A counter from 1, times with a comma, a blank line between cues."""
    return "\n".join(f"{number}\n{_cue(cue)}\n" for number, cue in enumerate(cues, 1))


def _cue(cue: Cue) -> str:
    times = f"{timestamp(cue.start, ',')} --> {timestamp(cue.end, ',')}"
    return f"{times}\n{single_block(cue.text)}"
