"""What is read from the database for a transcript. Words with their times are most of its data."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from transcriptions.editing import service as editing
from transcriptions.exports.documents import EXPORTERS
from transcriptions.exports.options import ExportOptions
from transcriptions.exports.service import export, transcript_of
from transcriptions.models import Segment, Transcription
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


def test_text_is_read_without_words(finished: Transcription) -> None:
    assert reads_of_words(lambda: finished.text) == []
    assert finished.text.startswith("Sentence 1. Sentence 2.")


def test_correction_reads_only_the_words_of_its_segment(finished: Transcription) -> None:
    (read,) = reads_of_words(lambda: editing.correct(finished, 2, "Another sentence."))
    assert '"number" = 2' in read
