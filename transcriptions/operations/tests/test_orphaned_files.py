"""What crashes leave behind is gone after a day, and nothing else is."""

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


def test_only_what_is_old_and_named_by_nobody_goes(prepared: Transcription, settings: Any) -> None:
    recordings = Path(settings.MEDIA_ROOT) / "recordings"
    scratch = Path(settings.FILE_UPLOAD_TEMP_DIR)
    prepared.source = f"recordings/{prepared.id}.source"
    prepared.audio = f"recordings/{prepared.id}_second.wav"
    prepared.save()
    kept = {
        aged(recordings / f"{prepared.id}.source", 100),
        aged(recordings / f"{prepared.id}_second.wav", 100),
        aged(recordings / f"{uuid.uuid4()}.source", 1),  # its row is just being written
        aged(recordings / "README", 100),
        aged(scratch / "job-now" / "audio.wav", 1),
    }
    aged(recordings / f"{prepared.id}.wav", 25)  # of a worker that was killed
    aged(recordings / f"{uuid.uuid4()}.source", 25)
    aged(scratch / "old.upload", 25)
    aged(scratch / "job-old" / "audio.wav", 25)
    aged(scratch / "job-old", 25)
    for name in ("ten.source", "ten.wav"):
        (recordings / name).unlink()
    delete_orphaned_files()
    assert set(stored_files(settings)) == kept


def test_an_installation_without_recordings_has_none(folders: None, db: None) -> None:
    delete_orphaned_files()
