"""Paragraphs of a transcript on its page. e2e/test_transcript.py compares them with the script."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from transcriptions.exports.page_paragraphs import FULL_LENGTH, PAUSE_LENGTH
from transcriptions.library.paragraphs import paragraphs
from transcriptions.library.tests.test_library import recording
from transcriptions.models import AudioAnalysis, Segment, Speaker, State

LONG_PAUSE_S = 1.5


def segment(
    length: int, speaker: int | None = None, channel: int | None = None, pause: float = 0.0
) -> Segment:
    """A segment with this many characters after a pause."""
    return Segment(text="x" * length, speaker=speaker, channel=channel, start=pause, end=pause)


def lengths(*segments: Segment) -> list[list[int]]:
    """The characters of the segments in each paragraph. Here, `start` is a pause."""
    now = 0.0
    for each in segments:
        now += each.start
        each.start = each.end = now
    found = paragraphs(segments, {number: Speaker(number=number) for number in (1, 2)})
    return [[len(each.text) for _, each in paragraph.segments] for paragraph in found]


def test_paragraph_ends_with_its_speaker_or_channel() -> None:
    assert lengths(segment(1, 1), segment(2, 1), segment(3, 2), segment(4)) == [[1, 2], [3], [4]]
    assert lengths(segment(1, 1, 0), segment(2, 1, 1)) == [[1], [2]]


def test_paragraph_ends_when_it_is_full_or_at_a_pause() -> None:
    assert lengths(segment(FULL_LENGTH - 1), segment(9), segment(1)) == [[FULL_LENGTH - 1, 9], [1]]
    short, after_pause = segment(PAUSE_LENGTH - 1), segment(2, pause=LONG_PAUSE_S)
    assert lengths(short, after_pause) == [[PAUSE_LENGTH - 1, 2]]
    assert lengths(segment(PAUSE_LENGTH), segment(2, pause=LONG_PAUSE_S)) == [[PAUSE_LENGTH], [2]]
    assert lengths(segment(PAUSE_LENGTH), segment(2, pause=1.4)) == [[PAUSE_LENGTH, 2]]
    assert lengths() == []


def test_length_is_that_of_javascript() -> None:
    half = Segment(text="😀" * (FULL_LENGTH // 2), start=0, end=0)
    assert len(list(paragraphs([half, segment(1)], {}))) == 2


def test_texts_are_joined_with_the_spaces_of_their_script() -> None:
    texts = ["你好。", "世界。", "A word.", "Another."]
    rows = [
        Segment(number=n, text=text, start=0, end=0, words=[]) for n, text in enumerate(texts, 1)
    ]
    [paragraph] = paragraphs(rows, {})
    assert [space for space, _ in paragraph.segments] == ["", "", "", " "]


@pytest.mark.covers("attack", "HTML in the text of a transcript or in the name of a speaker")
def test_text_is_escaped() -> None:
    row = Segment(number=1, text='<img src="x" onerror=alert(1)> & "more"', start=0, end=1)
    [paragraph] = paragraphs([row], {})
    assert "&lt;img src=&quot;x&quot; onerror=alert(1)&gt; &amp;" in paragraph.html
    assert "<img" not in paragraph.html


@pytest.mark.django_db(transaction=True)
def test_page_has_as_many_queries_for_many_segments(alice: User, browser: Client) -> None:
    browser.get("/")  # the first request of a session writes to it
    counts = []
    for size in (1, 60):
        row = recording(alice, "Talk", state=State.COMPLETED, duration=60.0)
        AudioAnalysis.objects.create(transcription=row, peaks=[0, 100])
        Segment.objects.bulk_create(
            Segment(
                transcription=row,
                number=number,
                start=number,
                end=number + 1,
                text="A sentence. " * 10,
                speaker=1 + number % 3,
                conflict="Another sentence.",
            )
            for number in range(1, size + 1)
        )
        for number in {1, 2, 3} if size > 1 else {2}:
            row.speakers.create(number=number)
        with CaptureQueriesContext(connection) as queries:
            html = browser.get(f"/transcriptions/{row.id}/").content.decode()
        assert html.count('class="segment"') == size
        assert html.count("<segment-conflict") == size
        counts.append(len(queries))
    assert counts[0] == counts[1] < 16
