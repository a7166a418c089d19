"""Deletion of what crashes leave behind: files without a row, cut-off uploads, temporary files."""

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
from django.utils import timezone

from transcriptions.models import STORAGE_FOLDER, DirectUpload, Transcription
from transcriptions.storage.base import MultipartUploads, recording_storage

MIN_AGE = timedelta(days=1)  # younger files may still be in use
BATCH_SIZE = 500  # files per query


def delete_orphaned_files() -> None:
    """Delete orphaned files, and parts of unfinished uploads, that are older than a day."""
    storage = recording_storage()
    before = timezone.now() - MIN_AGE
    for name in _older_than(before):
        storage.delete(name)
    if storage.multipart:
        _abort_unfinished(storage.multipart, before)
    delete_temporary_files()


def delete_temporary_files() -> None:
    """Delete temporary files of this machine that are older than a day."""
    _delete_old_files(settings.FILE_UPLOAD_TEMP_DIR)


def count_older_than(moment: datetime) -> int:
    """How many recordings' files without a row were last changed before `moment`."""
    return sum(1 for _ in _older_than(moment))


def _older_than(moment: datetime) -> Iterator[str]:
    files = recording_storage().list_files(STORAGE_FOLDER)
    return _without_row(file.name for file in files if file.modified_at < moment)


def _without_row(names: Iterator[str]) -> Iterator[str]:
    """Recordings' files without a row: it was deleted while they were written, or its INSERT was
    rolled back."""
    while batch := list(islice(names, BATCH_SIZE)):
        row_ids = {name: row_id for name in batch if (row_id := _row_id(name))}
        rows = Transcription.objects.filter(id__in=row_ids.values()).values_list("source", "audio")
        in_use = {file for row in rows for file in row}
        # A file that was assembled from parts is as old as the first of them.
        in_use |= {upload.name for upload in DirectUpload.objects.filter(id__in=row_ids.values())}
        yield from (name for name in row_ids if name not in in_use)


def _abort_unfinished(uploads: MultipartUploads, before: datetime) -> None:
    """Delete the parts of uploads that were cut off. The storage charges for them, but lists no
    file."""
    old = (upload for upload in uploads.unfinished(STORAGE_FOLDER) if upload.started_at < before)
    for upload in old:
        row_id = _row_id(upload.name)
        if row_id and not DirectUpload.objects.filter(id=row_id).exists():
            uploads.abort(upload.name, upload.upload_id)


def _row_id(name: str) -> uuid.UUID | None:
    """The id at the start of a file's name in its folder; None if it is not a recording's."""
    with suppress(ValueError):
        return uuid.UUID(name.removeprefix(f"{STORAGE_FOLDER}/")[:36])
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
