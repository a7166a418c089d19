"""Load a transcript from the database for export."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.utils.translation import gettext as _

from transcriptions.editing.alignment import StoredWord, realign_words
from transcriptions.exports.documents import EXPORTERS
from transcriptions.exports.options import DEFAULT_OPTIONS, ExportOptions
from transcriptions.exports.page_paragraphs import PageDivision
from transcriptions.exports.timing import retime
from transcriptions.exports.transcript import TimedWord, Transcript
from transcriptions.models import Transcription
from transcriptions.models.segment import mean_probability
from transcriptions.schemas.annotations import AnnotationOut
from transcriptions.schemas.speakers import speakers_of

SEGMENT_FIELDS = ("start", "end", "text", "language", "channel", "speaker")
PARAGRAPH_FIELDS = ("speaker", "channel", "start", "end", "text", "paragraph")
WORD_FIELDS = ("start", "end", "text", "probability", "channel", "speaker", "overlap")


def export(row: Transcription, format: str, options: ExportOptions = DEFAULT_OPTIONS) -> bytes:
    """The transcript of a row as a file. `format` is a key of EXPORTERS."""
    annotations = [AnnotationOut.of(note).model_dump(mode="json") for note in row.notes.all()]
    transcript = replace(transcript_of(row, words=True), annotations=annotations)
    transcript = retime(transcript, options)
    return EXPORTERS[format].write(transcript, options)


def transcript_of(row: Transcription, *, words: bool) -> Transcript:
    """The transcript of a transcription row. Query its segments; their words, which are most of the
    data, only if `words` is set."""
    columns = ("number", "paragraph", *SEGMENT_FIELDS, *(("words",) if words else ()))
    rows = list(row.segments.values(*columns))
    labels = _labels(row, rows)
    return Transcript(
        title=row.title,
        language=row.language,
        duration=row.duration or 0.0,
        segments=[_segment(stored) for stored in rows],
        words=tuple(_timed_words(rows, labels)) if words else (),
        speakers=labels,
        created_at=row.created_at,
    )


def _segment(stored: dict[str, Any]) -> dict[str, Any]:
    """The segment as the API returns it."""
    words = [_word(word) for word in stored.get("words", ())]
    return {
        "id": stored["number"],
        **{name: stored[name] for name in SEGMENT_FIELDS},
        "language": stored["language"] or None,
        "probability": mean_probability(words),
        "words": words,
    }


def _word(stored: StoredWord) -> dict[str, Any]:
    return {name: stored[name] for name in WORD_FIELDS if name in stored}


def _labels(row: Transcription, segments: Iterable[dict[str, Any]]) -> dict[int, str]:
    """The speaker labels by number, in order."""
    words = (word for segment in segments for word in segment.get("words", ()))
    return {speaker.number: speaker.label for speaker in speakers_of(row.speakers.all(), words)}


def _timed_words(
    segments: Sequence[dict[str, Any]], labels: Mapping[int, str]
) -> Iterator[TimedWord]:
    """The words of all segments. In a segment without word times, they share its time."""
    for segment, begins in zip(segments, _page_paragraphs(segments), strict=True):
        start, end, text = segment["start"], segment["end"], segment["text"]
        words = segment["words"] or realign_words([], text, start, end)
        for index, word in enumerate(words):
            yield TimedWord(
                word["start"],
                word["end"],
                word["text"],
                word.get("no_space_before", False),
                _speaker(word, labels),
                segment["number"],
                begins if index == 0 else None,
                word.get("channel", segment["channel"]),
            )


def _page_paragraphs(segments: Sequence[dict[str, Any]]) -> Iterator[bool | None]:
    """Whether a paragraph of the page begins with each segment; None if nobody has divided it."""
    is_divided = any(segment["paragraph"] is not None for segment in segments)
    division = PageDivision()
    for segment in segments:
        begins = division.begins_with(**{name: segment[name] for name in PARAGRAPH_FIELDS})
        yield begins if is_divided else None


def _speaker(word: StoredWord, labels: Mapping[int, str]) -> str:
    """The label of the speaker, or else the channel, if that is known."""
    if speaker := word.get("speaker"):
        return labels[speaker]
    channel = word.get("channel")
    return "" if channel is None else _("Channel %(number)d") % {"number": channel + 1}
