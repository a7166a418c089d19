"""File formats of a finished transcript. Imports no Django."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from transcriptions.exports import ass, markers, subrip, tables, transcript_json, ttml, webvtt
from transcriptions.exports.markdown import markdown
from transcriptions.exports.options import ExportOptions
from transcriptions.exports.plain_text import text
from transcriptions.exports.transcript import Transcript

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"

RANGE = frozenset({"start", "end"})
TIMED = RANGE | {"offset", "stretch"}
SUBTITLES = TIMED | {"profile", "language", "frame_rate", "top"}


class Group(StrEnum):
    """The purpose of a format."""

    SUBTITLES = "subtitles"
    DOCUMENTS = "documents"  # for reading
    DATA = "data"


@dataclass(frozen=True, slots=True)
class Exporter:
    """A file format.

    `write` gets a transcript with its words and with the times of the file: see `timing.retime`.
    `uses`: the names of the options that change the file.
    """

    label: str
    extension: str
    media_type: str
    write: Callable[[Transcript, ExportOptions], bytes]
    group: Group
    uses: frozenset[str]

    @property
    def is_text(self) -> bool:
        """Whether the file can be copied to the clipboard."""
        return "charset=" in self.media_type


def _document(
    label: str, extension: str, media_type: str, write: Callable[..., str | bytes]
) -> Exporter:
    """A format for reading."""

    def write_with(transcript: Transcript, options: ExportOptions) -> bytes:
        language = options.language or transcript.language
        annotations = transcript.annotations if options.notes else ()
        chosen = replace(transcript, language=language, annotations=annotations)
        content = write(chosen, speakers=options.speakers, times=options.times)
        return content.encode() if isinstance(content, str) else content

    uses = TIMED | {"language", "speakers", "times", "notes"}
    return Exporter(label, extension, media_type, write_with, Group.DOCUMENTS, uses)


def _docx(transcript: Transcript, **options: bool) -> bytes:
    # Imported here, as below, so that web processes that write no such documents do not load the
    # library.
    from transcriptions.exports.word import docx

    return docx(transcript, **options)


def _pdf(transcript: Transcript, **options: bool) -> bytes:
    """Raises MissingFontError."""
    from transcriptions.exports.pdf import pdf

    return pdf(transcript, **options)


def gettext_noop(text: str) -> str:
    """Marks a text for translation, like Django's function."""
    return text


def _subtitles(
    label: str,
    extension: str,
    media_type: str,
    write: Callable[[Transcript, ExportOptions], bytes],
    *more: str,
) -> Exporter:
    """A format of subtitles, which uses `more` options than others."""
    uses = SUBTITLES | {*more}
    return Exporter(label, extension, media_type, write, Group.SUBTITLES, uses)


def _data(
    label: str,
    extension: str,
    media_type: str,
    write: Callable[[Transcript, ExportOptions], bytes],
    *more: str,
) -> Exporter:
    """A format for programs, which uses `more` options than others."""
    return Exporter(label, extension, media_type, write, Group.DATA, TIMED | {*more})


# The keys are the values of `format` in the API.
EXPORTERS = {
    "txt": _document(gettext_noop("Plain text"), "txt", "text/plain; charset=utf-8", text),
    "md": _document("Markdown", "md", "text/markdown; charset=utf-8", markdown),
    "docx": _document("Word", "docx", DOCX, _docx),
    "pdf": _document("PDF", "pdf", "application/pdf", _pdf),
    "srt": _subtitles("SubRip", "srt", "application/x-subrip; charset=utf-8", subrip.write),
    "vtt": _subtitles(
        "WebVTT", "vtt", "text/vtt; charset=utf-8", webvtt.write, "speakers", "karaoke"
    ),
    "ass": _subtitles(
        "Advanced SubStation Alpha", "ass", "text/x-ssa; charset=utf-8", ass.write, "speakers"
    ),
    "ttml": _subtitles(
        "TTML (IMSC 1.1)", "ttml", "application/ttml+xml; charset=utf-8", ttml.write, "speakers"
    ),
    "csv": _data(
        gettext_noop("Table (CSV)"), "csv", "text/csv; charset=utf-8", tables.write_csv, "speakers"
    ),
    "tsv": _data(
        gettext_noop("Table (TSV)"),
        "tsv",
        "text/tab-separated-values; charset=utf-8",
        tables.write_tsv,
        "speakers",
    ),
    "audacity": _data(
        gettext_noop("Labels for Audacity"),
        "txt",
        "text/plain; charset=utf-8",
        tables.write_labels,
        "speakers",
    ),
    "otio": _data(
        gettext_noop("Markers for video editors"),
        "otio",
        "application/json; charset=utf-8",
        markers.write,
        "speakers",
        "frame_rate",
    ),
    "json": _data("JSON", "json", "application/json; charset=utf-8", transcript_json.write),
}
