"""How a backup is made."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from transcodio_site import __version__
from transcodio_site.backup import database, media, private_files
from transcodio_site.backup.manifest import BackupError, Manifest, StoredFile
from transcodio_site.backup.store import Store
from transcriptions.storage.base import recording_storage

NAME_FORMAT = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True)
class Created:
    """A new backup, and how much it added."""

    manifest: Manifest
    new_files: int
    deleted_backups: int
    lost: tuple[str, ...]  # missing files of recordings that still exist


def create(store: Store, keep: int | None = None) -> Created:
    """Back up the installation, which may be running. Then delete all but the newest `keep`
    backups, if given. Raises BackupError, OSError.

    The database is read first: it names the files, and they do not change. One that is deleted
    before it is copied is listed in the manifest. No backup is deleted if a recording has lost its
    file: older ones may have it.
    """
    with store.locked():
        recording_storage().check_access()  # otherwise all files may appear to be missing
        earlier = store.newest()
        known = {file.name: file for file in earlier.files} if earlier else {}
        with database.snapshot() as cursor:
            tables = database.tables(cursor)
            if not tables:
                raise BackupError("The database has no tables: there is nothing to back up.")
            migrations = database.applied_migrations()
            dumps = tuple(database.dump(cursor, table, store) for table in tables)
            sequences = database.sequences(cursor, tables)
            names = media.referenced_names()
        found = {name: media.backed_up(name, store, known.get(name)) for name in names}
        files = tuple(file for file in found.values() if file)
        manifest = Manifest(
            name=_new_name(store),
            version=__version__,
            migrations=migrations,
            tables=dumps,
            sequences=sequences,
            files=files,
            private=private_files.back_up(store),
            missing=tuple(name for name, file in found.items() if not file),
        )
        store.publish(manifest)
        lost = media.still_referenced(manifest.missing)
        deleted = store.delete_old(keep) if keep and not lost else 0
        return Created(manifest, _count_new(files, known), deleted, lost)


def _new_name(store: Store) -> str:
    """The current time; a second later than the newest backup if that is not earlier."""
    now = datetime.now(UTC)
    if names := store.names():
        newest = datetime.strptime(names[-1], NAME_FORMAT).replace(tzinfo=UTC)
        now = max(now, newest + timedelta(seconds=1))
    return now.strftime(NAME_FORMAT)


def _count_new(files: tuple[StoredFile, ...], known: dict[str, StoredFile]) -> int:
    before = {file.blob for file in known.values()}
    return sum(file.blob not in before for file in files)
