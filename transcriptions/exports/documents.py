"""File formats of a finished transcript. Imports no Django."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from gpu.joining import join, separator
from transcriptions.exports import subtitles
from transcriptions.exports.subtitles import Cue
from transcriptions.exports.transcript import Transcript

PARAGRAPH_PAUSE_S = 2.0  # a pause this long starts a new paragraph


@dataclass(frozen=True, slots=True)
class Exporter:
    """A file format: its media type, the function that writes it, and whether it contains words
    with their times."""

    media_type: str
    write: Callable[[Transcript], str]
    words: bool = False


def _text(transcript: Transcript) -> str:
    """Plain text, with a new paragraph after a long pause."""
    parts: list[str] = []
    previous_end: float | None = None
    for segment in transcript.segments:
        if previous_end is not None:
            is_paragraph = segment["start"] - previous_end >= PARAGRAPH_PAUSE_S
            parts.append("\n\n" if is_paragraph else separator(parts[-1], segment["text"]))
        parts.append(segment["text"])
        previous_end = segment["end"]
    return "".join(parts) + "\n"


def _json(transcript: Transcript) -> str:
    document = {
        "title": transcript.title,
        "language": transcript.language,
        "duration": transcript.duration,
        "text": join(segment["text"] for segment in transcript.segments),
        "segments": transcript.segments,
    }
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def _cues(transcript: Transcript) -> list[Cue]:
    return [Cue(s["start"], s["end"], s["text"]) for s in transcript.segments]


EXPORTERS = {
    "txt": Exporter("text/plain; charset=utf-8", _text),
    "srt": Exporter("application/x-subrip; charset=utf-8", lambda t: subtitles.srt(_cues(t))),
    "vtt": Exporter("text/vtt; charset=utf-8", lambda t: subtitles.vtt(_cues(t))),
    "json": Exporter("application/json; charset=utf-8", _json, words=True),
}
