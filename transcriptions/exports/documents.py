"""File formats of a finished transcript. Imports no Django."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gpu.joining import separator
from transcriptions.exports import ass, subrip, tables, transcript_json, ttml, webvtt
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


# The keys are the values of `format` in the API.
EXPORTERS = {
    "txt": Exporter("Plain text", "txt", "text/plain; charset=utf-8", _text),
    "srt": Exporter(
        "SubRip", "srt", "application/x-subrip; charset=utf-8", subrip.write, words=True
    ),
    "vtt": Exporter("WebVTT", "vtt", "text/vtt; charset=utf-8", webvtt.write, words=True),
    "ass": Exporter(
        "Advanced SubStation Alpha", "ass", "text/x-ssa; charset=utf-8", ass.write, words=True
    ),
    "ttml": Exporter(
        "TTML (IMSC 1.1)", "ttml", "application/ttml+xml; charset=utf-8", ttml.write, words=True
    ),
    "csv": Exporter("Table (CSV)", "csv", "text/csv; charset=utf-8", tables.write_csv, words=True),
    "tsv": Exporter(
        "Table (TSV)",
        "tsv",
        "text/tab-separated-values; charset=utf-8",
        tables.write_tsv,
        words=True,
    ),
    "audacity": Exporter(
        "Labels for Audacity", "txt", "text/plain; charset=utf-8", tables.write_labels, words=True
    ),
    "json": Exporter(
        "JSON", "json", "application/json; charset=utf-8", transcript_json.write, words=True
    ),
}
