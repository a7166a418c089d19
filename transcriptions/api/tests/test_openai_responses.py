"""The engine's details about words, in OpenAI's formats."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from django.http import QueryDict
from django.utils import timezone

from accounts.models import User
from transcriptions.api.openai import streaming
from transcriptions.api.openai.params import TranscriptionParams
from transcriptions.api.openai.responses import answer_in_format, duration_usage, logprobs
from transcriptions.models import Segment, State, Transcription
from transcriptions.schemas.events import ProgressEvent, SpeakersEvent, final_event
from transcriptions.schemas.speakers import SegmentSpeakers
from transcriptions.schemas.transcripts import SegmentOut

DECODING = {
    "avg_logprob": -0.2,
    "no_speech_prob": 0.01,
    "compression_ratio": 1.4,
    "temperature": 0.4,
    "tokens": [50364, 7],
}


@pytest.fixture
def row(alice: User) -> Transcription:
    """Two segments: the engine gives all details about the first one, and none about the second."""
    row = Transcription.objects.create(
        owner=alice,
        source_bytes=1,
        state=State.COMPLETED,
        completed_at=timezone.now(),
        duration=2.5,
        language="mi",
        languages=["mi", "en"],
    )
    word = {"start": 0.0, "end": 1.0, "text": "Kia", "probability": 0.5}
    Segment.objects.create(
        transcription=row, number=1, start=0, end=1, text="Kia", words=[word], decoding=DECODING
    )
    plain = {"start": 1.0, "end": 2.0, "text": "ora."}
    Segment.objects.create(transcription=row, number=2, start=1, end=2, text="ora.", words=[plain])
    return row


def body(row: Transcription, query: str) -> dict[str, Any]:
    params = TranscriptionParams.from_form(QueryDict(query))
    answer: dict[str, Any] = json.loads(answer_in_format(params).content(row))
    return answer


def test_segments_have_what_the_decoder_knows(row: Transcription) -> None:
    answer = body(row, "response_format=verbose_json")
    assert answer["language"] == "maori"
    known, unknown = answer["segments"]
    assert {name: known[name] for name in DECODING} == DECODING
    assert (unknown["avg_logprob"], unknown["no_speech_prob"], unknown["tokens"]) == (
        None,
        None,
        [],
    )
    assert unknown["compression_ratio"] > 0


def test_logprobs_are_those_of_the_words(row: Transcription) -> None:
    expected = {"token": "Kia", "bytes": [75, 105, 97], "logprob": round(math.log(0.5), 4)}
    assert body(row, "include[]=logprobs")["logprobs"] == [expected]
    assert "logprobs" not in body(row, "")
    Segment.objects.filter(number=1).update(words=[])
    assert "logprobs" not in body(row, "include=logprobs")


def test_logprob_of_an_impossible_word_is_a_number() -> None:
    ((found,),) = logprobs([{"text": "x", "probability": 0.0}]).values()
    assert math.isfinite(found["logprob"])


def test_languages_are_listed_for_the_model_that_has_them(row: Transcription) -> None:
    assert body(row, "model=gpt-transcribe")["languages"] == [{"code": "mi"}, {"code": "en"}]
    assert "languages" not in body(row, "model=whisper-1")


@pytest.mark.parametrize(
    ("model", "languages"),
    [("gpt-transcribe", [{"code": "mi"}, {"code": "en"}]), ("gpt-4o-transcribe", None)],
)
def test_stream_lists_languages_for_the_model_that_has_them(
    row: Transcription, model: str, languages: list[dict[str, str]] | None
) -> None:
    stream = streaming._Stream(TranscriptionParams.from_form(QueryDict(f"model={model}")))
    stream.load(row.id)
    (done,) = stream.messages(final_event(row, 2))
    assert done.get("languages") == languages


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [(8.470000267028809, 9), (6.0, 6), (6.0000001, 6), (6.02, 7), (0.2, 1), (None, 0)],
)
def test_duration_is_rounded_up(duration: float | None, seconds: int) -> None:
    assert duration_usage(duration)["seconds"] == seconds


def test_speakers_are_letters_or_names_and_divide_segments(row: Transcription) -> None:
    words = [
        {"start": 2.0, "end": 2.2, "text": "Yes."},
        {"start": 2.2, "end": 2.5, "text": "Fine.", "speaker": 2},
        {"start": 2.5, "end": 3.0, "text": "No.", "speaker": 1},
        {"start": 3.0, "end": 3.2, "text": "Never."},
    ]
    text = "Yes. Fine. No. Never."
    Segment.objects.create(
        transcription=row, number=3, start=2, end=3.2, text=text, words=words, speaker=1
    )
    Segment.objects.filter(number=2).update(speaker=2)
    row.speakers.create(number=1, name="Anna")
    answer = body(row, "response_format=diarized_json")
    assert [(s["id"], s["speaker"], s["text"]) for s in answer["segments"]] == [
        ("seg_1", "unknown", "Kia"),
        ("seg_2", "B", "ora."),
        ("seg_3", "B", "Yes. Fine."),
        ("seg_3_2", "Anna", "No. Never."),
    ]
    assert [(s["start"], s["end"]) for s in answer["segments"][2:]] == [(2.0, 2.5), (2.5, 3.2)]
    assert answer["text"] == f"Kia ora. {text}"


def test_words_of_a_divided_segment_stand_as_in_its_text(row: Transcription) -> None:
    texts = ["ใช่", "ครับ", "ไม่", "ใช่", "well-", "known"]
    words = [
        {"start": 2.0, "end": 2.5, "text": text, "speaker": 1 if n < 2 else 2}
        for n, text in enumerate(texts)
    ]
    Segment.objects.create(
        transcription=row, number=3, start=2, end=2.5, text="ใช่ครับ ไม่ใช่ well-known", words=words
    )
    segments = body(row, "response_format=diarized_json")["segments"]
    assert [segment["text"] for segment in segments[2:]] == ["ใช่ครับ", "ไม่ใช่ well-known"]


def test_stream_tells_speakers_when_they_are_final(row: Transcription) -> None:
    segments = [SegmentOut.of(segment) for segment in row.segments.all()]
    params = TranscriptionParams.from_form(QueryDict("response_format=diarized_json"))
    stream = streaming._Stream(params)
    changed = [SegmentSpeakers(id=n, speaker=n, words=[n]) for n in (1, 2)]
    events = [
        *(ProgressEvent(id=segment.id, segment=segment) for segment in segments),
        SpeakersEvent(id=2, change=1, speakers=[], segments=changed),
        final_event(row, 2),
    ]
    messages = [message for event in events for message in stream.messages(event)]
    assert [(m["type"].split(".")[-1], m.get("speaker")) for m in messages] == [
        *(("delta", None), ("delta", None)),
        *(("segment", "A"), ("segment", "B")),
        ("done", None),
    ]
    assert [m["segment_id"] for m in messages[:2]] == [m["id"] for m in messages[2:4]]


def test_channel_is_told_if_channels_are_recognized_separately(row: Transcription) -> None:
    word = {"start": 2.0, "end": 2.5, "text": "Yes.", "channel": 1}
    Segment.objects.create(
        transcription=row, number=3, start=2, end=2.5, text="Yes.", words=[word], channel=1
    )
    query = "response_format=verbose_json&timestamp_granularities=word,segment"
    answer = body(row, query)
    assert [segment.get("channel") for segment in answer["segments"]] == [None, None, 1]
    assert "channel" not in answer["segments"][0]
    assert [word.get("channel") for word in answer["words"]] == [None, None, 1]
    diarized = body(row, "response_format=diarized_json")["segments"]
    assert [segment["speaker"] for segment in diarized] == ["unknown", "unknown", "channel_1"]
