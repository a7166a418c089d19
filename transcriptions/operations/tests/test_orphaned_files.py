"""Orphaned files are deleted after a day, and no other files."""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from transcriptions.models import Transcription
from transcriptions.operations.tasks import delete_orphaned_files
from transcriptions.testing import stored_files

pytestmark = pytest.mark.django_db


def aged(path: Path, hours: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    then = time.time() - hours * 3600
    os.utime(path, (then, then))
    return path


def test_only_old_files_without_a_row_are_deleted(prepared: Transcription, settings: Any) -> None:
    recordings = Path(settings.MEDIA_ROOT) / "recordings"
    temporary = Path(settings.FILE_UPLOAD_TEMP_DIR)
    prepared.source = f"recordings/{prepared.id}.source"
    prepared.audio = f"recordings/{prepared.id}_second.wav"
    prepared.save()
    expected = {
        aged(recordings / f"{prepared.id}.source", 100),
        aged(recordings / f"{prepared.id}_second.wav", 100),
        aged(recordings / f"{uuid.uuid4()}.source", 1),  # its row is not committed yet
        aged(recordings / "README", 100),
        aged(temporary / "job-now" / "audio.wav", 1),
    }
    aged(recordings / f"{prepared.id}.wav", 25)  # of a worker that was killed
    aged(recordings / f"{uuid.uuid4()}.source", 25)
    aged(temporary / "old.upload", 25)
    aged(temporary / "job-old" / "audio.wav", 25)
    aged(temporary / "job-old", 25)
    for name in ("ten.source", "ten.wav"):
        (recordings / name).unlink()
    delete_orphaned_files()
    assert set(stored_files(settings)) == expected


def test_missing_storage_folder_is_not_an_error(folders: None, db: None) -> None:
    delete_orphaned_files()
