"""Transcripts in the JSON of whisper-asr-webservice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import User
from transcriptions.api.asr_json import whisper_json
from transcriptions.models import Segment, Speaker, State, Transcription


@pytest.fixture
def row(alice: User) -> Transcription:
    return Transcription.objects.create(
        owner=alice,
        source_bytes=1,
        state=State.COMPLETED,
        completed_at=timezone.now(),
        duration=9.0,
        language="en",
    )


def add(row: Transcription, text: str, words: Sequence[str], **fields: Any) -> None:
    """Add a segment that lasts a second; each of its words begins where the last one ends."""
    number = row.segments.count() + 1
    length = 1 / len(words) if words else 0
    times = [
        (number + index * length, number + (index + 1) * length) for index in range(len(words))
    ]
    stored = [
        {"start": start, "end": end, "text": word, "probability": 0.9, **fields}
        for word, (start, end) in zip(words, times, strict=True)
    ]
    Segment.objects.create(
        transcription=row,
        number=number,
        start=number,
        end=number + 1,
        text=text,
        words=stored,
        **fields,
    )


def body(row: Transcription, *, words: bool = True) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(whisper_json(row, words=words))
    return content


def test_texts_can_be_put_together(row: Transcription) -> None:
    add(row, "Good morning.", ["Good", "morning."])
    add(row, "It rains.", ["It", "rains."])
    content = body(row)
    first, second = content["segments"]
    assert [word["word"] for word in second["words"]] == [" It", " rains."]
    assert (first["text"], second["text"]) == ("Good morning.", " It rains.")
    assert first["words"][0] == {"word": "Good", "start": 1.0, "end": 1.5, "probability": 0.9}
    assert content["text"] == "Good morning. It rains."


def test_chinese_has_no_spaces(row: Transcription) -> None:
    for text in ("早上好。", "下雨了。"):
        add(row, text, [text[:2], text[2:]])
    content = body(row)
    assert content["text"] == "早上好。下雨了。"
    assert "".join(segment["text"] for segment in content["segments"]) == content["text"]
    words = [word["word"] for segment in content["segments"] for word in segment["words"]]
    assert "".join(words) == content["text"]


def test_words_are_left_out_unless_requested(row: Transcription) -> None:
    add(row, "Good morning.", ["Good", "morning."])
    (segment,) = body(row, words=False)["segments"]
    assert "words" not in segment
    assert (segment["id"], segment["start"], segment["seek"]) == (0, 1.0, 100)


def test_speakers_have_their_names(row: Transcription) -> None:
    Speaker.objects.create(transcription=row, number=1, name="Ada")
    add(row, "Good morning.", ["Good", "morning."], speaker=1)
    (segment,) = body(row)["segments"]
    assert {segment["speaker"], *(word["speaker"] for word in segment["words"])} == {"Ada"}


def test_segment_without_word_times_divides_its_time(row: Transcription) -> None:
    add(row, "Good morning.", [])
    (segment,) = body(row)["segments"]
    assert [word["word"] for word in segment["words"]] == ["Good", " morning."]
    assert (segment["words"][0]["start"], segment["words"][1]["end"]) == (1.0, 2.0)
