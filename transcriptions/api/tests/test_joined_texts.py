"""Every output that has the whole text puts segments together as their script does."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.http import QueryDict
from django.test import Client
from django.utils import timezone

from accounts.models import User
from transcriptions.api.asr_json import whisper_json
from transcriptions.api.openai import streaming
from transcriptions.api.openai.params import TranscriptionParams
from transcriptions.api.openai.responses import answer_in_format
from transcriptions.exports.service import export
from transcriptions.models import Segment, State, Transcription
from transcriptions.schemas.events import ProgressEvent, final_event
from transcriptions.schemas.transcripts import SegmentOut, TranscriptOut

CASES = [
    (("我们早上好", "今天下雨"), "我们早上好今天下雨"),
    (("おはよう。", "元気ですか。"), "おはよう。元気ですか。"),
    (("안녕하세요.", "반갑습니다."), "안녕하세요. 반갑습니다."),
    (("Good morning.", "It rains."), "Good morning. It rains."),
]


def _openai(query: str) -> Callable[[Transcription], str]:
    def content(row: Transcription) -> str:
        return answer_in_format(TranscriptionParams.from_form(QueryDict(query))).content(row)

    return content


def _openai_json(response_format: str) -> Callable[[Transcription], str]:
    content = _openai(f"response_format={response_format}")
    return lambda row: str(json.loads(content(row))["text"])


def _messages(row: Transcription) -> list[dict[str, Any]]:
    stream = streaming._Stream(TranscriptionParams.from_form(QueryDict("stream=true")))
    segments = [SegmentOut.of(segment) for segment in row.segments.all()]
    events = [*(ProgressEvent(id=s.id, segment=s) for s in segments), final_event(row, 2)]
    return [message for event in events for message in stream.messages(event)]


def _deltas(row: Transcription) -> str:
    return "".join(message.get("delta", "") for message in _messages(row))


def _exported(format: str) -> Callable[[Transcription], str]:
    return lambda row: export(row, format).decode()


OUTPUTS: dict[str, Callable[[Transcription], str]] = {
    "API": lambda row: TranscriptOut.of(row).text,
    "model": lambda row: row.text,
    "json": lambda row: str(json.loads(_exported("json")(row))["text"]),
    "txt": _exported("txt"),
    "whisper-asr-webservice": lambda row: str(json.loads(whisper_json(row, words=False))["text"]),
    "/v1 json": _openai_json("json"),
    "/v1 verbose_json": _openai_json("verbose_json"),
    "/v1 segments": lambda row: "".join(
        segment["text"]
        for segment in json.loads(_openai("response_format=verbose_json")(row))["segments"]
    ),
    "/v1 diarized_json": _openai_json("diarized_json"),
    "/v1 text": _openai("response_format=text"),
    "/v1 deltas": _deltas,
    "/v1 done": lambda row: str(_messages(row)[-1]["text"]),
}


@pytest.fixture
def row(alice: User) -> Transcription:
    return Transcription.objects.create(
        owner=alice,
        source_bytes=1,
        state=State.COMPLETED,
        completed_at=timezone.now(),
        duration=2.0,
        language="zh",
    )


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize(("texts", "joined"), CASES)
def test_segments_are_joined_by_script(
    row: Transcription, texts: tuple[str, ...], joined: str, output: str
) -> None:
    for number, text in enumerate(texts, 1):
        Segment.objects.create(
            transcription=row, number=number, start=number - 1, end=number, text=text, words=[]
        )
    assert OUTPUTS[output](row).strip() == joined


@pytest.mark.parametrize(("texts", "joined"), CASES)
def test_lines_of_a_corrected_text_are_joined_by_script(
    api: Client, row: Transcription, texts: tuple[str, ...], joined: str
) -> None:
    Segment.objects.create(transcription=row, number=1, start=0, end=2, text="?", words=[])
    text = "\n".join(texts)
    url = f"/api/transcriptions/{row.id}"
    response = api.patch(f"{url}/segments/1", {"text": text}, content_type="application/json")
    assert response.json()["text"] == joined
    body = {"changes": [{"from": 1, "to": 1, "segments": [{"text": f"{text}!"}]}]}
    response = api.post(f"{url}/edits", body, content_type="application/json")
    assert response.json()["changes"][0]["segments"][0]["text"] == f"{joined}!"


def test_text_for_openai_clients_has_no_speakers(row: Transcription) -> None:
    for number, text in enumerate(("Hello there.", "Hi."), 1):
        Segment.objects.create(
            transcription=row,
            number=number,
            start=number,
            end=number,
            text=text,
            words=[],
            speaker=number,
            paragraph=True,
        )
    assert OUTPUTS["/v1 text"](row) == "Hello there. Hi.\n"
    assert OUTPUTS["txt"](row) != OUTPUTS["/v1 text"](row)
