"""Files that crashes leave behind: recordings without a row, and temporary files."""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from itertools import islice
from pathlib import Path

from django.conf import settings
from django.core.files.storage import Storage, default_storage
from django.utils import timezone

from transcriptions.models import STORAGE_FOLDER, Transcription

MIN_AGE = timedelta(days=1)  # younger files may still be in use
BATCH = 500


def delete_orphaned_files() -> None:
    """Deletes files that are older than a day."""
    for name in _unnamed(default_storage):
        if default_storage.get_modified_time(name) < timezone.now() - MIN_AGE:
            default_storage.delete(name)
    _clear(settings.FILE_UPLOAD_TEMP_DIR)


def _unnamed(storage: Storage) -> Iterator[str]:
    """Files of ours that no row names: it went while they were written, or never came to be."""
    try:
        _, files = storage.listdir(STORAGE_FOLDER)
    except FileNotFoundError:
        return
    ahead = iter(files)
    while names := list(islice(ahead, BATCH)):
        owners = {name: id for name in names if (id := _owner(name))}
        rows = Transcription.objects.filter(id__in=owners.values()).values_list("source", "audio")
        named = {file for row in rows for file in row}
        yield from (
            f"{STORAGE_FOLDER}/{name}" for name in owners if f"{STORAGE_FOLDER}/{name}" not in named
        )


def _owner(name: str) -> uuid.UUID | None:
    """The id that the name of a file begins with; None if it is not a file of ours."""
    with suppress(ValueError):
        return uuid.UUID(name[:36])
    return None


def _clear(scratch: Path) -> None:
    for path in scratch.iterdir():
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime < MIN_AGE.total_seconds():
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
