"""A transcript whose words have times."""

from __future__ import annotations

from typing import Any

import pytest

from transcriptions.models import Segment, Transcription

TEXTS = (
    "It was early in the morning.",
    "Nobody had seen the boat.",
    "Where is it?",
    "We do not know.",
    "They looked along the harbor for hours.",
)


@pytest.fixture
def transcript(finished: Transcription) -> Transcription:
    """Alice's recording: five segments, from 0.5 s, 10.5 s, ...; half a second for each word."""
    finished.segments.all().delete()
    for number, text in enumerate(TEXTS, 1):
        words: list[Any] = [
            {"start": 10 * number - 9.5 + n / 2, "end": 10 * number - 9 + n / 2, "text": word}
            for n, word in enumerate(text.split())
        ]
        Segment.objects.create(
            transcription=finished,
            number=number,
            start=words[0]["start"],
            end=words[-1]["end"],
            text=text,
            words=words,
            language="en",
        )
    return finished
