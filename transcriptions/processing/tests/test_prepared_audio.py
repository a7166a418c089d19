"""Prepared audio is stored from the preparation to the end of processing, and no longer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.apps import apps

from transcodio_site.testing import SAMPLE
from transcriptions.models import State, Transcription
from transcriptions.processing import commands, pipeline
from transcriptions.processing.tests.helpers import fresh, raising
from transcriptions.testing import ScriptedEngine, Upload, set_state, stored_files, texts

pytestmark = pytest.mark.django_db(transaction=True)


def suffixes(settings: Any) -> list[str]:
    return sorted(path.suffix for path in stored_files(settings))


@pytest.mark.covers("attack", "Recordings that become huge when they are decoded fill the disk")
@pytest.mark.parametrize("end", ["completed", "failed", "cancelled"])
def test_prepared_audio_is_deleted_when_processing_ends(
    prepared: Transcription, engine: ScriptedEngine, settings: Any, end: str
) -> None:
    if end == "failed":
        engine.before[3] = lambda: 1 / 0
    if end == "cancelled":
        engine.before[3] = lambda: commands.cancel(Transcription.objects.get())
    assert suffixes(settings) == [".source", ".wav"]
    pipeline.transcribe(prepared.id)
    assert fresh(prepared).state == end
    assert not fresh(prepared).audio
    assert suffixes(settings) == [".source"]


def test_cancelled_recording_without_worker_keeps_no_prepared_audio(
    prepared: Transcription, settings: Any
) -> None:
    stale = Transcription.objects.get()
    stale.audio = ""  # as it was read before the preparation ended
    commands.cancel(stale)
    assert suffixes(settings) == [".source"]


def test_worker_whose_audio_is_deleted_reports_no_error(
    prepared: Transcription, engine: ScriptedEngine, caplog: pytest.LogCaptureFixture
) -> None:
    def cancel_and_read() -> None:
        commands.cancel(Transcription.objects.get())
        Path(prepared.audio.path).read_bytes()

    engine.before[3] = cancel_and_read
    assert not pipeline.transcribe(prepared.id)
    assert "unexpected error" not in caplog.text
    assert fresh(prepared).state == State.CANCELLED


def test_resumed_recording_is_prepared_again(
    upload: Upload, engine: ScriptedEngine, settings: Any
) -> None:
    row = upload(SAMPLE)
    engine.sentences = 3
    engine.before[3] = raising(RuntimeError("a bug"))
    assert pipeline.preprocess(row.id)
    spans = fresh(row).analysis.spans
    assert not pipeline.transcribe(row.id)
    first = texts(row)
    assert len(first) == 2
    engine.before.clear()
    commands.retry(fresh(row))
    assert pipeline.preprocess(row.id)
    assert fresh(row).analysis.spans == spans
    assert pipeline.transcribe(row.id)
    assert texts(row)[:2] == first
    assert fresh(row).state == State.COMPLETED
    assert suffixes(settings) == [".source"]


def test_migration_forgets_the_audio_of_finished_recordings_only(prepared: Transcription) -> None:
    from importlib import import_module

    migration = import_module("transcriptions.migrations.0012_no_audio_of_finished")
    migration.forget(apps, None)
    assert fresh(prepared).audio
    set_state(State.FAILED)
    migration.forget(apps, None)
    assert fresh(prepared).audio == ""
