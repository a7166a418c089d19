"""Subtitles in the format WebVTT (https://www.w3.org/TR/webvtt1/). Imports no Django."""

from __future__ import annotations

from collections.abc import Iterable

from transcriptions.exports.cues import Cue
from transcriptions.exports.options import ExportOptions
from transcriptions.exports.subtitles import cues_of, single_block, timestamp
from transcriptions.exports.transcript import Transcript


def write(transcript: Transcript, options: ExportOptions) -> bytes:
    """The transcript as WebVTT."""
    return vtt(cues_of(transcript, options)).encode()


def vtt(cues: Iterable[Cue]) -> str:
    """`&` and `<` are escaped: the text has no markup."""
    return "WEBVTT\n\n" + "\n".join(f"{_cue(cue)}\n" for cue in cues)


def _cue(cue: Cue) -> str:
    times = f"{timestamp(cue.start, '.')} --> {timestamp(cue.end, '.')}"
    return f"{times}\n{_escape(single_block(cue.text))}"


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
