"""File formats of a finished transcript. Imports no Django."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from gpu.joining import join, separator
from transcriptions.exports import subrip, webvtt
from transcriptions.exports.options import ExportOptions
from transcriptions.exports.transcript import Transcript

PARAGRAPH_PAUSE_S = 2.0  # a pause this long starts a new paragraph


@dataclass(frozen=True, slots=True)
class Exporter:
    """A file format.

    `write` gets a transcript that has the times of the file: see `timing.retime`. `words`: whether
    it needs the words of the transcript, which are most of its data.
    """

    label: str
    extension: str
    media_type: str
    write: Callable[[Transcript, ExportOptions], bytes]
    words: bool = False


def _text(transcript: Transcript, options: ExportOptions) -> bytes:
    """Plain text, with a new paragraph after a long pause."""
    parts: list[str] = []
    previous_end: float | None = None
    for segment in transcript.segments:
        if previous_end is not None:
            is_paragraph = segment["start"] - previous_end >= PARAGRAPH_PAUSE_S
            parts.append("\n\n" if is_paragraph else separator(parts[-1], segment["text"]))
        parts.append(segment["text"])
        previous_end = segment["end"]
    return ("".join(parts) + "\n").encode()


def _json(transcript: Transcript, options: ExportOptions) -> bytes:
    document = {
        "title": transcript.title,
        "language": transcript.language,
        "duration": transcript.duration,
        "text": join(segment["text"] for segment in transcript.segments),
        "segments": transcript.segments,
    }
    return (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode()


# The keys are the values of `format` in the API.
EXPORTERS = {
    "txt": Exporter("Plain text", "txt", "text/plain; charset=utf-8", _text),
    "srt": Exporter(
        "SubRip", "srt", "application/x-subrip; charset=utf-8", subrip.write, words=True
    ),
    "vtt": Exporter("WebVTT", "vtt", "text/vtt; charset=utf-8", webvtt.write, words=True),
    "json": Exporter("JSON", "json", "application/json; charset=utf-8", _json, words=True),
}
