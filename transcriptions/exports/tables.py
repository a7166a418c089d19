"""Transcripts as tables: CSV, TSV, and the labels of Audacity. Imports no Django."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from itertools import groupby

from accounts.spreadsheets import safe_cell
from transcriptions.exports.options import ExportOptions
from transcriptions.exports.subtitles import one_line
from transcriptions.exports.transcript import Paragraph, Transcript

COLUMNS = ("start", "end", "speaker", "text")


def write_csv(transcript: Transcript, options: ExportOptions) -> bytes:
    """Comma-separated, as RFC 4180 defines. The byte order mark tells spreadsheets that the file is
    UTF-8."""
    file = io.StringIO()
    csv.writer(file).writerows([COLUMNS, *_cells(transcript, options)])
    return file.getvalue().encode("utf-8-sig")


def write_tsv(transcript: Transcript, options: ExportOptions) -> bytes:
    """Tab-separated, without quotes: no cell has a tab or a line break."""
    return _tabbed([COLUMNS, *_cells(transcript, options)])


def write_labels(transcript: Transcript, options: ExportOptions) -> bytes:
    """Labels for Audacity: start, end and text.

    https://manual.audacityteam.org/man/importing_and_exporting_labels.html
    """
    rows = list[tuple[str, ...]]()
    for segment in parts(transcript):
        speaker = one_line(segment.speaker) if options.speakers else ""
        text = one_line(segment.text)
        label = f"{speaker}: {text}" if speaker else text
        rows.append((f"{segment.start:.6f}", f"{segment.end:.6f}", label))
    return _tabbed(rows)


def _cells(transcript: Transcript, options: ExportOptions) -> Iterator[tuple[str, ...]]:
    for segment in parts(transcript):
        speaker = one_line(segment.speaker) if options.speakers else ""
        texts = (safe_cell(speaker), safe_cell(one_line(segment.text)))
        yield f"{segment.start:.3f}", f"{segment.end:.3f}", *texts


def parts(transcript: Transcript) -> Iterator[Paragraph]:
    """The segments; one with several speakers has a row for each of them."""
    turns = groupby(transcript.words, key=lambda word: (word.segment, word.speaker))
    for _key, words in turns:
        yield Paragraph(tuple(words))


def _tabbed(rows: list[tuple[str, ...]]) -> bytes:
    return "".join("\t".join(row) + "\n" for row in rows).encode()
