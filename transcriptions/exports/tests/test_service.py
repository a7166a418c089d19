"""Queries for a transcript. Words with their times are most of its data."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.html import strip_tags

from transcriptions.editing import service as editing
from transcriptions.editing.annotations import add_annotation
from transcriptions.editing.replacing import NewSegment, Replacement, replace_segments
from transcriptions.exports.documents import EXPORTERS
from transcriptions.exports.options import DEFAULT_OPTIONS, ExportOptions
from transcriptions.exports.service import export, transcript_of
from transcriptions.library.paragraphs import paragraphs
from transcriptions.models import Segment, Transcription
from transcriptions.schemas.annotations import AnnotationOut
from transcriptions.schemas.transcripts import TranscriptOut

pytestmark = pytest.mark.django_db(transaction=True)


def reads_of_words(action: Callable[[], object]) -> list[str]:
    """The queries of `action` that return words."""
    with CaptureQueriesContext(connection) as queries:
        action()
    sql = [query["sql"] for query in queries]
    return [s for s in sql if s.startswith("SELECT") and '"words"' in s.split(" FROM ")[0]]


def test_segments_of_an_export_are_those_of_the_api(finished: Transcription) -> None:
    word = {"start": 6.0, "end": 6.5, "text": "你", "no_space_before": True}
    new = {"number": 6, "start": 6.0, "end": 6.5, "text": "你", "words": [word]}
    Segment.objects.create(transcription=finished, **new)
    segments = TranscriptOut.of(finished).segments
    expected = [segment.model_dump(exclude={"conflict"}) for segment in segments]
    assert transcript_of(finished, words=True).segments == expected


@pytest.mark.parametrize("name", EXPORTERS)
def test_export_reads_words_once(finished: Transcription, name: str) -> None:
    assert len(reads_of_words(lambda: export(finished, name))) == 1


def test_range_of_a_text_is_exact_to_the_word(finished: Transcription) -> None:
    options = ExportOptions(start=1.0, end=2.5)
    assert export(finished, "txt", options) == b"Sentence 2. Sentence 3.\n"


def test_interjection_on_another_channel_has_a_subtitle_in_time(finished: Transcription) -> None:
    said = [(0, 6.0, 16.0, "A long story."), (1, 9.0, 9.3, "Really?")]
    for number, (channel, start, end, text) in enumerate(said, 6):
        word = {"start": start, "end": end, "text": text, "channel": channel}
        new = {"number": number, "start": start, "end": end, "text": text, "channel": channel}
        Segment.objects.create(transcription=finished, words=[word], **new)
    content = export(finished, "vtt").decode()
    assert "00:00:09.000 --> 00:00:09.834\n<v Channel 2>Really?</v>" in content


def test_text_is_read_without_words(finished: Transcription) -> None:
    assert reads_of_words(lambda: finished.text) == []
    assert finished.text.startswith("Sentence 1. Sentence 2.")


def test_correction_reads_only_the_words_of_its_segment(finished: Transcription) -> None:
    (read,) = reads_of_words(lambda: editing.correct(finished, 2, "Another sentence."))
    assert '"number" IN (2)' in read


def test_words_have_the_name_of_their_speaker(finished: Transcription) -> None:
    finished.speakers.create(number=1, name="Anna")
    finished.speakers.create(number=2)
    for segment in finished.segments.all():
        (word,) = segment.words
        speaker = {1: {"speaker": 1}, 2: {"speaker": 2}, 3: {"channel": 0}}.get(segment.number, {})
        segment.words = [word | speaker]
        segment.save()
    transcript = transcript_of(finished, words=True)
    assert [word.speaker for word in transcript.words] == [
        *("Anna", "Speaker 2", "Channel 1"),
        *("", ""),
    ]
    exported = json.loads(export(finished, "json"))
    assert exported["speakers"] == [
        {"number": 1, "label": "Anna"},
        {"number": 2, "label": "Speaker 2"},
    ]
    assert [segment["words"][0].get("speaker") for segment in exported["segments"][:3]] == [
        *(1, 2, None),
    ]


def test_json_has_the_notes_as_the_api_returns_them(finished: Transcription) -> None:
    add_annotation(finished, kind="comment", start=0.4, end=2.1, quote="One.", body="Check this.")
    (exported,) = json.loads(export(finished, "json"))["annotations"]
    (note,) = finished.notes.all()
    assert exported == json.loads(AnnotationOut.of(note).model_dump_json())


def test_documents_do_not_divide_paragraphs_that_a_person_has_joined(
    finished: Transcription,
) -> None:
    long = "We walked along the harbor. " * 30
    for number in (1, 2, 3):
        joined = NewSegment(long.strip(), paragraph=False if number == 2 else None)
        replace_segments(finished, [Replacement(number, number, [joined])])
    shown = paragraphs(finished.segments.all(), {})
    text = export(finished, "txt", DEFAULT_OPTIONS).decode()
    assert text.strip().split("\n\n") == [strip_tags(paragraph.html) for paragraph in shown]
    assert text.startswith(f"{long}{long.strip()}\n\n")


def test_documents_have_the_paragraphs_of_the_page(finished: Transcription) -> None:
    texts = finished.segments.values_list("text", flat=True)
    new = [NewSegment(texts[2], paragraph=True)]
    replace_segments(finished, [Replacement(3, 3, new)])
    text = export(finished, "txt", DEFAULT_OPTIONS).decode()
    assert [part.split("\n")[0] for part in text.split("\n\n")] == [
        " ".join(texts[:2]),
        " ".join(texts[2:]),
    ]
