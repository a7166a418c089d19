"""The files of Django's storage: uploaded recordings."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from posixpath import dirname, join

from django.apps import apps
from django.core.files import File
from django.core.files.storage import default_storage
from django.db.models import FileField

from transcodio_site.backup.manifest import BackupError, StoredFile
from transcodio_site.backup.store import Store
from transcriptions.models import STORAGE_FOLDER

# Files that can be made again: prepared audio is deleted when a recording is finished.
NOT_INCLUDED = frozenset({"transcriptions.Transcription.audio"})


def referenced_names() -> list[str]:
    """The names of all files that rows refer to, as the current transaction sees them."""
    return sorted({name for field in _fields() for name in _names(field) if name})


def still_referenced(names: Collection[str]) -> tuple[str, ...]:
    """Those of the files that rows refer to now."""
    return tuple(sorted({*names} & {*referenced_names()})) if names else ()


def _fields() -> Iterator[FileField]:
    for model in apps.get_models():
        for field in model._meta.get_fields():
            if isinstance(field, FileField) and str(field) not in NOT_INCLUDED:
                yield field


def _names(field: FileField) -> Iterator[str]:
    return field.model._base_manager.values_list(field.name, flat=True).iterator()


def backed_up(name: str, store: Store, earlier: StoredFile | None) -> StoredFile | None:
    """Store a file, unless it is the same as in an earlier backup; None if it does not exist.

    Raises OSError.
    """
    try:
        size = default_storage.size(name)
        modified = default_storage.get_modified_time(name).isoformat()
        unchanged = earlier and (earlier.blob.size, earlier.modified) == (size, modified)
        if earlier and unchanged and store.has(earlier.blob):
            return earlier
        with default_storage.open(name) as file:
            return StoredFile(name, modified, store.add(file.chunks()))
    except FileNotFoundError:
        return None


def restore_file(file: StoredFile, store: Store) -> None:
    """Write a file to the storage, unless it is there. Raises BackupError, OSError."""
    if default_storage.exists(file.name):
        if _sha256(file.name) == file.blob.sha256:
            return
        default_storage.delete(file.name)  # an interrupted attempt has left a part of it
    with store.open(file.blob) as content:
        name = default_storage.save(file.name, File(content))
    if name != file.name:
        default_storage.delete(name)
        raise BackupError(f"{file.name} cannot be written to the storage: it exists already.")


def _sha256(name: str) -> str:
    digest = hashlib.sha256()
    with default_storage.open(name) as file:
        for block in file.chunks():
            digest.update(block)
    return digest.hexdigest()


def other_names(files: Iterable[StoredFile]) -> Iterator[str]:
    """The names of files in the folders of recordings, without those of `files`. Other folders of
    the storage may belong to other programs."""
    names = {file.name for file in files}
    for folder in sorted({STORAGE_FOLDER, *map(dirname, names)}):
        with suppress(FileNotFoundError):
            _, found = default_storage.listdir(folder)
            yield from (
                name for name in (join(folder, file) for file in found) if name not in names
            )
