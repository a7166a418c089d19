"""A finished transcript as a file. Knows nothing of Django."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from transcriptions.exports import subtitles
from transcriptions.exports.subtitles import Cue
from transcriptions.exports.transcript import Transcript

PARAGRAPH = 2.0  # seconds of silence that begin a new paragraph


@dataclass(frozen=True, slots=True)
class Exporter:
    """One format: its media type and how it is written."""

    media_type: str
    write: Callable[[Transcript], str]


def _text(transcript: Transcript) -> str:
    """Running text, a new paragraph where the speaker paused."""
    parts: list[str] = []
    before: float | None = None
    for segment in transcript.segments:
        if before is not None:
            parts.append("\n\n" if segment["start"] - before >= PARAGRAPH else " ")
        parts.append(segment["text"])
        before = segment["end"]
    return "".join(parts) + "\n"


def _json(transcript: Transcript) -> str:
    document = {
        "title": transcript.title,
        "language": transcript.language,
        "duration": transcript.duration,
        "text": " ".join(segment["text"] for segment in transcript.segments),
        "segments": transcript.segments,
    }
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def _cues(transcript: Transcript) -> list[Cue]:
    return [Cue(s["start"], s["end"], s["text"]) for s in transcript.segments]


EXPORTERS = {
    "txt": Exporter("text/plain; charset=utf-8", _text),
    "srt": Exporter("application/x-subrip; charset=utf-8", lambda t: subtitles.srt(_cues(t))),
    "vtt": Exporter("text/vtt; charset=utf-8", lambda t: subtitles.vtt(_cues(t))),
    "json": Exporter("application/json; charset=utf-8", _json),
}
