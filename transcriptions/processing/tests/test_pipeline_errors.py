"""The pipeline with errors of engines, and with recordings that cannot be transcribed."""

from __future__ import annotations

import errno
import os
import signal
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage
from django.utils import timezone

from gpu.types import (
    CircuitOpen,
    DeviceLost,
    DeviceUnrecoverable,
    EngineError,
    Unreachable,
    UnsupportedLanguage,
)
from transcodio_site.testing import Media
from transcriptions.models import State, Transcription
from transcriptions.processing import pipeline
from transcriptions.processing.pipeline import MAX_ATTEMPTS
from transcriptions.processing.tests.helpers import (
    FIVE_SENTENCES,
    expire,
    fresh,
    raising,
)
from transcriptions.testing import ScriptedEngine, Upload, texts

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("check_no_temporary_files"),
]


def test_engine_that_was_not_called_counts_no_attempt(
    prepared: Transcription, engine: ScriptedEngine
) -> None:
    engine.before = {1: raising(CircuitOpen("it has just failed"))}
    for _ in range(MAX_ATTEMPTS + 2):
        assert not pipeline.transcribe(prepared.id)
        row = fresh(prepared)
        assert (row.state, row.attempts) == (State.PREPARED, 0)
        expire(row)


@pytest.mark.covers("fault", "The GPU is lost while it decodes")
@pytest.mark.parametrize(("error", "ends"), [(DeviceLost, False), (DeviceUnrecoverable, True)])
def test_lost_gpu_reschedules_and_unusable_gpu_ends_the_process(
    prepared: Transcription,
    engine: ScriptedEngine,
    monkeypatch: pytest.MonkeyPatch,
    error: type[DeviceLost],
    ends: bool,
) -> None:
    signals: list[Any] = []
    monkeypatch.setattr(os, "kill", lambda *arguments: signals.append(arguments))
    engine.before = {3: raising(error("CUDA error"))}
    assert not pipeline.transcribe(prepared.id)
    row = fresh(prepared)
    assert (row.state, row.attempts, texts(row)) == (State.PREPARED, 1, FIVE_SENTENCES[:2])
    assert signals == [(os.getpid(), signal.SIGTERM)] * ends


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (EngineError("CUDA error"), "engine_failed", "Try again"),
        (UnsupportedLanguage("xx"), "unsupported_language", "another one"),
        (RuntimeError("a bug"), "internal_error", "on our side"),
        (
            OSError(errno.ENOSPC, "no space"),
            "disk_full",
            "not enough disk space",
        ),
    ],
)
def test_error_becomes_a_message_for_the_owner(
    prepared: Transcription, engine: ScriptedEngine, error: Exception, code: str, words: str
) -> None:
    engine.before = {2: raising(error)}
    assert not pipeline.transcribe(prepared.id)
    row = fresh(prepared)
    assert (row.state, row.error_code) == (State.FAILED, code)
    assert words in row.error_message
    assert str(error) not in row.error_message  # only in the log
    assert texts(row) == FIVE_SENTENCES[:1]  # stored segments stay


@pytest.mark.covers("fault", "The storage fails once for a file")
def test_recording_completes_when_storage_works_again(
    upload: Upload, media: Media, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = upload(media.speech("ten.wav", 10))
    with monkeypatch.context() as broken:
        broken.setattr(FileSystemStorage, "_save", raising(OSError(errno.EIO, "I/O error")))
        assert not pipeline.preprocess(row.id)
    assert (fresh(row).state, fresh(row).attempts) == (State.QUEUED, 1)
    expire(row)
    assert pipeline.preprocess(row.id)
    assert pipeline.transcribe(row.id)
    assert fresh(row).state == State.COMPLETED


def test_unreachable_engine_is_retried_later(
    prepared: Transcription, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "RETRY_DELAY_S", 3600.0)
    engine.before = {3: raising(Unreachable("Modal is unreachable"))}
    began = timezone.now()
    assert not pipeline.transcribe(prepared.id)
    ended, delay = timezone.now(), timedelta(hours=1)
    row = fresh(prepared)
    assert (row.state, texts(row)) == (State.PREPARED, FIVE_SENTENCES[:2])
    assert row.progress.lease_until is not None
    assert began + delay <= row.progress.lease_until <= ended + delay
    assert not Transcription.objects.due(State.PREPARED).exists()  # not enqueued until then
    engine.before = {}
    assert pipeline.transcribe(prepared.id)
    assert texts(fresh(prepared)) == FIVE_SENTENCES


@pytest.mark.covers("fault", "Modal stays down")
def test_unreachable_engine_fails_after_max_attempts(
    prepared: Transcription, engine: ScriptedEngine
) -> None:
    engine.before = {1: raising(Unreachable("Modal is unreachable"))}
    for _ in range(MAX_ATTEMPTS):
        assert not pipeline.transcribe(prepared.id)
    row = fresh(prepared)
    assert (row.state, row.error_code) == (State.FAILED, "engine_unreachable")
    assert "Try again later" in row.error_message


@pytest.mark.covers("fault", "A recording crashes every worker")
def test_recording_that_crashes_workers_fails_after_max_attempts(
    prepared: Transcription, engine: ScriptedEngine
) -> None:
    engine.before = {1: raising(SystemExit())}
    for _ in range(MAX_ATTEMPTS):
        with pytest.raises(SystemExit):
            pipeline.transcribe(prepared.id)
        expire(prepared)
    assert not pipeline.transcribe(prepared.id)
    assert fresh(prepared).state == State.FAILED


def test_silence_completes_with_a_note_without_the_engine(
    upload: Upload, media: Media, engine: ScriptedEngine
) -> None:
    row = upload(media.silence("silence.wav", 3))
    assert pipeline.preprocess(row.id)
    assert pipeline.transcribe(row.id)
    row = fresh(row)
    assert (row.state, texts(row), engine.calls) == (State.COMPLETED, [], [])
    assert "No speech was found" in row.note


def test_truncated_recording_is_prepared_with_a_note(upload: Upload, media: Media) -> None:
    whole = media.speech("whole.flac", 12).read_bytes()
    row = upload(media.bytes("cut.flac", whole[: len(whole) // 2]))
    assert pipeline.preprocess(row.id)
    row = fresh(row)
    assert row.duration == pytest.approx(6, abs=1)
    assert "ends early" in row.note


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("header.wav", b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(20), "corrupt_media"),
        ("noise.ogg", b"OggS\0\2" + b"not really an Ogg" * 400, "corrupt_media"),
        (
            "half.m4a",
            b"\x00\x00\x00\x18ftypM4A \x00\x00\x00\x00M4A isom" + bytes(500),
            "corrupt_media",
        ),
    ],
)
def test_damaged_media_fails_as_corrupt_media(
    upload: Upload, media: Media, name: str, content: bytes, code: str
) -> None:
    row = upload(media.bytes(name, content))
    assert not pipeline.preprocess(row.id)
    row = fresh(row)
    assert (row.state, row.error_code) == (State.FAILED, code)
    assert "damaged" in row.error_message


def test_video_without_audio_track_fails_as_no_audio(upload: Upload, media: Media) -> None:
    row = upload(media.silent_film("silent.mp4"))
    assert not pipeline.preprocess(row.id)
    assert fresh(row).error_code == "no_audio"


def test_too_long_recording_fails_as_too_long(upload: Upload, media: Media, settings: Any) -> None:
    settings.MAX_DURATION_SECONDS = 5
    row = upload(media.silence("long.mp3", 60))
    assert not pipeline.preprocess(row.id)
    row = fresh(row)
    assert row.error_code == "too_long"
    assert "5 s" in row.error_message
