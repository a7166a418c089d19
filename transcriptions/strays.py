"""What crashes leave behind: recordings that no row names, and scratch files."""

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

from transcriptions.models import FOLDER, Transcription

LONG = timedelta(days=1)  # nothing is worked on for that long: what is younger may be in use
BATCH = 500


def sweep() -> None:
    """Deletes it."""
    for name in _unnamed(default_storage):
        if default_storage.get_modified_time(name) < timezone.now() - LONG:
            default_storage.delete(name)
    _clear(settings.FILE_UPLOAD_TEMP_DIR)


def _unnamed(storage: Storage) -> Iterator[str]:
    """Files of ours that no row names: it went while they were written, or never came to be."""
    try:
        _, files = storage.listdir(FOLDER)
    except FileNotFoundError:
        return
    ahead = iter(files)
    while names := list(islice(ahead, BATCH)):
        owners = {name: id for name in names if (id := _owner(name))}
        rows = Transcription.objects.filter(id__in=owners.values()).values_list("source", "audio")
        named = {file for row in rows for file in row}
        yield from (f"{FOLDER}/{name}" for name in owners if f"{FOLDER}/{name}" not in named)


def _owner(name: str) -> uuid.UUID | None:
    """The id that the name of a file begins with; None if it is not a file of ours."""
    with suppress(ValueError):
        return uuid.UUID(name[:36])
    return None


def _clear(scratch: Path) -> None:
    for path in scratch.iterdir():
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime < LONG.total_seconds():
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
