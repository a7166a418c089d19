"""`task=translate` and /v1/audio/translations: the engine translates, or the request is refused."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.test import Client

from transcodio_site.testing import Media
from transcriptions import queue
from transcriptions.models import Transcription
from transcriptions.processing import pipeline
from transcriptions.testing import MP3, ScriptedEngine, send

pytestmark = pytest.mark.django_db(transaction=True)

TRANSLATIONS = {
    "/api/transcribe": {"task": "translate"},
    "/v1/audio/translations": {"model": "whisper-1", "response_format": "verbose_json"},
}


@pytest.fixture
def worked_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each upload is processed while its request waits."""

    def enqueue(task: Any, *ids: uuid.UUID) -> bool:
        return bool(ids) and all(pipeline.preprocess(i) and pipeline.transcribe(i) for i in ids)

    monkeypatch.setattr(queue, "enqueue", enqueue)


@pytest.mark.parametrize("path", TRANSLATIONS)
def test_engine_is_asked_to_translate(
    api: Client, engine: ScriptedEngine, worked_off: None, media: Media, path: str
) -> None:
    content = media.speech("short.mp3", 6).read_bytes()
    body = send(api, path, content, "a.mp3", language="de", **TRANSLATIONS[path]).json()
    (audio,) = engine.calls
    assert audio.options.translate
    assert audio.language == "de"  # that is spoken
    assert body["language"] in ("en", "english")  # that is written
    assert body.get("task", "translate") == "translate"


@pytest.mark.parametrize("path", ["/api/transcribe", "/v1/audio/transcriptions"])
def test_engine_is_not_asked_to_translate_otherwise(
    api: Client, engine: ScriptedEngine, worked_off: None, media: Media, path: str
) -> None:
    content = media.speech("short.mp3", 6).read_bytes()
    assert send(api, path, content, "a.mp3", model="whisper-1").status_code == 200
    (audio,) = engine.calls
    assert not audio.options.translate


@pytest.mark.parametrize("name", ["kyutai", "modal"])
def test_translation_is_refused_if_the_engine_cannot(api: Client, settings: Any, name: str) -> None:
    settings.STT_ENGINE = name
    response = send(api, "/v1/audio/translations", MP3, model="whisper-1")
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (400, "not_offered")
    assert error["type"] == "invalid_request_error"
    assert "cannot translate" in error["message"]
    assert response["x-should-retry"] == "false"
    assert not Transcription.objects.exists()
