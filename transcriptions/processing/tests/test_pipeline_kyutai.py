"""The pipeline with Kyutai as the engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gpu.engine import get_engine
from gpu.kyutai.engine import KyutaiEngine
from gpu.tests import tiny
from transcodio_site.testing import SAMPLE
from transcriptions.models import State, Transcription
from transcriptions.processing import pipeline
from transcriptions.testing import Upload

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def kyutai(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The worker's engine is Kyutai with a tiny model of random weights."""
    folder = tmp_path / "stt-tiny"
    tiny.save(folder)
    engine = KyutaiEngine(str(folder), "cpu", rows=4)
    settings.STT_ENGINE = "kyutai"
    monkeypatch.setattr(pipeline, "get_engine", {"kyutai": engine}.__getitem__)
    yield
    engine.close()


def test_recording_is_transcribed_by_kyutai(upload: Upload, kyutai: None) -> None:
    row = upload(SAMPLE)
    assert pipeline.preprocess(row.id)
    assert pipeline.transcribe(row.id)
    row = Transcription.objects.get()
    assert (row.state, row.engine, row.model) == (State.COMPLETED, "kyutai", "stt-tiny")
    assert row.segments.exists()
    assert row.decode_seconds > 0


def test_language_unknown_to_kyutai_fails_as_unsupported_language(
    upload: Upload, kyutai: None
) -> None:
    row = upload(SAMPLE, language="de")
    assert pipeline.preprocess(row.id)
    assert not pipeline.transcribe(row.id)
    row = Transcription.objects.get()
    assert (row.state, row.error_code) == (State.FAILED, "unsupported_language")


def test_engine_is_found_by_its_name() -> None:
    assert get_engine("kyutai").name == "kyutai"
