"""Fixtures: recordings in the library, and a scripted engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts.models import User
from transcriptions.models import AudioAnalysis, State, Transcription
from transcriptions.processing import engine_calls, pipeline
from transcriptions.testing import Headers, ScriptedEngine, Upload
from transcriptions.uploads.service import create_transcription


@pytest.fixture
def folders(settings: Any, tmp_path: Path) -> None:
    """Separate folders for storage and temporary files."""
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path / "tmp"
    settings.FILE_UPLOAD_TEMP_DIR.mkdir()


@pytest.fixture
def upload(alice: User, folders: None) -> Upload:
    """A function that uploads a file, by default to Alice's library."""

    def create(path: Path, owner: User = alice, language: str = "") -> Transcription:
        return create_transcription(
            owner, SimpleUploadedFile(path.name, path.read_bytes()), language
        )

    return create


@pytest.fixture
def prepared(alice: User, folders: None) -> Transcription:
    """Alice's recording of ten seconds, all speech, ready for the engine."""
    row = Transcription.objects.create(
        owner=alice,
        title="Ten seconds",
        source="recordings/ten.source",
        source_bytes=9,
        audio="recordings/ten.wav",
        state=State.PREPARED,
        duration=10.0,
    )
    AudioAnalysis.objects.create(transcription=row, spans=[[0.0, 10.0]])
    for file in (row.source, row.audio):
        path = Path(file.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"not empty")
    return row


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> ScriptedEngine:
    """Replace Whisper in tests of the pipeline itself."""
    scripted = ScriptedEngine()
    monkeypatch.setattr(pipeline, "get_engine", lambda name: scripted)
    monkeypatch.setattr(engine_calls, "MAX_AHEAD", 1)  # `before[n]`: sentence n - 1 is stored
    return scripted


@pytest.fixture
def api(alice: User, token_of: Headers, upload: Upload) -> Client:
    """A client with an API token of Alice's."""
    return Client(headers=token_of(alice))


@pytest.fixture
def browser(alice: User) -> Client:
    """A client in which Alice is signed in."""
    client = Client()
    client.force_login(alice)
    return client


@pytest.fixture
def finished(
    transactional_db: None, prepared: Transcription, engine: ScriptedEngine
) -> Transcription:
    """Alice's recording, transcribed: five sentences. It is committed: the lease is watched over
    another connection."""
    assert pipeline.transcribe(prepared.id)
    return Transcription.objects.get()
