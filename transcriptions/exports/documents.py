"""File formats of a finished transcript. Imports no Django."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from transcriptions.exports import ass, subrip, tables, transcript_json, ttml, webvtt
from transcriptions.exports.markdown import markdown
from transcriptions.exports.options import ExportOptions
from transcriptions.exports.plain_text import text
from transcriptions.exports.transcript import Transcript

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


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


def _document(
    write: Callable[..., str | bytes],
) -> Callable[[Transcript, ExportOptions], bytes]:
    """The writer of a document for reading, with its options."""

    def write_with(transcript: Transcript, options: ExportOptions) -> bytes:
        language = options.language or transcript.language
        content = write(
            replace(transcript, language=language), speakers=options.speakers, times=options.times
        )
        return content.encode() if isinstance(content, str) else content

    return write_with


def _docx(transcript: Transcript, **options: bool) -> bytes:
    # Imported here, as below: web processes that write no such documents do without the library.
    from transcriptions.exports.word import docx

    return docx(transcript, **options)


def _pdf(transcript: Transcript, **options: bool) -> bytes:
    """Raises MissingFontError."""
    from transcriptions.exports.pdf import pdf

    return pdf(transcript, **options)


# The keys are the values of `format` in the API.
EXPORTERS = {
    "txt": Exporter("Plain text", "txt", "text/plain; charset=utf-8", _document(text), words=True),
    "md": Exporter(
        "Markdown", "md", "text/markdown; charset=utf-8", _document(markdown), words=True
    ),
    "docx": Exporter("Word", "docx", DOCX, _document(_docx), words=True),
    "pdf": Exporter("PDF", "pdf", "application/pdf", _document(_pdf), words=True),
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
