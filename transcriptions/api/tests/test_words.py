"""The times of the words."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from transcriptions.library.tests.test_library import recording
from transcriptions.models import Segment, State
from transcriptions.schemas.word_times import positions

TEXT = "So, so. 😀 Sò is it."
WORDS: list[dict[str, Any]] = [
    {"start": 0.4, "end": 0.9, "text": "So,", "probability": 0.98},
    {"start": 0.9, "end": 1.2345, "text": "so.", "probability": 0.4999},
    {"start": 1.3, "end": 1.3, "text": "😀", "probability": 0.5},
    {"start": 1.5, "end": 1.75, "text": "Sò"},
    {"start": 2, "end": 3, "text": "is", "probability": 0},
    {"start": 3, "end": 4, "text": "it.", "probability": None},
]


@pytest.mark.django_db(transaction=True)
def test_times_and_places_of_words(alice: User, browser: Client) -> None:
    row = recording(alice, "Talk", state=State.COMPLETED)
    Segment.objects.create(transcription=row, number=1, start=0.4, end=4, text=TEXT, words=WORDS)
    Segment.objects.create(transcription=row, number=2, start=5, end=6, text="No words.")
    with CaptureQueriesContext(connection) as queries:
        response = browser.get(f"/api/transcriptions/{row.id}/words")
    assert sum('"transcriptions_segment"' in query["sql"] for query in queries) == 1
    assert response.json() == {
        "segments": [
            {
                "id": 1,
                "at": [0, 4, 8, 11, 14, 17],
                "start": [400, 900, 1300, 1500, 2000, 3000],
                "length": [500, 334, 0, 250, 1000, 1000],
                "low": [1, 4],
                "overlap": [],
            },
            {"id": 2, "at": [], "start": [], "length": [], "low": [], "overlap": []},
        ]
    }


@pytest.mark.django_db(transaction=True)
def test_long_answer_is_compressed(alice: User, browser: Client) -> None:
    row = recording(alice, "Talk", state=State.COMPLETED)
    for number in range(1, 30):
        Segment.objects.create(
            transcription=row, number=number, start=0, end=1, text=TEXT, words=WORDS
        )
    for url in (f"/api/transcriptions/{row.id}/words", f"/transcriptions/{row.id}/"):
        response = browser.get(url, headers={"Accept-Encoding": "gzip"})
        assert response["Content-Encoding"] == "gzip"
        assert len(gzip.decompress(response.content)) > 2 * len(response.content)
    assert len(json.loads(browser.get(f"/api/transcriptions/{row.id}/words").content)["segments"])


def test_word_that_is_not_in_the_text_is_where_the_one_before_ended() -> None:
    assert positions("one two", ["one", "missing", "two"]) == [0, 3, 7]
    assert positions("one two three", ["one", "two", "three", "four"]) == [0, 4, 8, 13]
    assert positions("", ["word"]) == [0]
