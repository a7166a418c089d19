"""Deletion of files that crashes leave behind: recordings without a row, temporary files."""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path

from django.conf import settings
from django.core.files.storage import Storage, default_storage
from django.utils import timezone

from transcriptions.models import STORAGE_FOLDER, Transcription

MIN_AGE = timedelta(days=1)  # younger files may still be in use
BATCH_SIZE = 500  # files per query


def delete_orphaned_files() -> None:
    """Delete orphaned files that are older than a day."""
    for name in _files_without_row(default_storage):
        if default_storage.get_modified_time(name) < timezone.now() - MIN_AGE:
            default_storage.delete(name)
    _delete_old_files(settings.FILE_UPLOAD_TEMP_DIR)


def count_older_than(moment: datetime) -> int:
    """How many recordings' files without a row were last changed before `moment`."""
    orphaned = _files_without_row(default_storage)
    return sum(default_storage.get_modified_time(name) < moment for name in orphaned)


def _files_without_row(storage: Storage) -> Iterator[str]:
    """Recordings' files that no row names: it was deleted while they were written, or its INSERT
    was rolled back."""
    try:
        _, files = storage.listdir(STORAGE_FOLDER)
    except FileNotFoundError:
        return
    remaining = iter(files)
    while names := list(islice(remaining, BATCH_SIZE)):
        row_ids = {name: row_id for name in names if (row_id := _row_id(name))}
        rows = Transcription.objects.filter(id__in=row_ids.values()).values_list("source", "audio")
        in_use = {file for row in rows for file in row}
        paths = (f"{STORAGE_FOLDER}/{name}" for name in row_ids)
        yield from (path for path in paths if path not in in_use)


def _row_id(name: str) -> uuid.UUID | None:
    """The id at the start of a file name; None if the file is not a recording's."""
    with suppress(ValueError):
        return uuid.UUID(name[:36])
    return None


def _delete_old_files(folder: Path) -> None:
    for path in folder.iterdir():
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime < MIN_AGE.total_seconds():
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
