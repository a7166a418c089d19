"""How a backup is restored.

Everything is checked before anything is written. Files come first, then the rows in a single
transaction: whatever interrupts a restoration, it can be repeated.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.core.files.storage import default_storage
from django.core.management import call_command
from django.db import connection, transaction

from transcodio_site.backup import database, media, private_files
from transcodio_site.backup.manifest import BackupError, Manifest
from transcodio_site.backup.store import Store
from transcodio_site.backup.verification import verify
from transcriptions.processing.lifecycle import requeue_restored

MAX_PROBLEMS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored."""

    manifest: Manifest
    requeued: int  # recordings whose processing continues
    key_in_use: bool  # whether sessions stay valid


def restore(store: Store, name: str | None, *, replace: bool = False) -> Restored:
    """Restore the backup `name`, or else the newest, into an empty installation; `replace` deletes
    what the installation has. Raises BackupError, OSError."""
    manifest = store.manifest(name or _newest_name(store))
    _check(manifest, store)
    database.check_migrations(manifest)
    _check_target(manifest, replace=replace)
    for file in manifest.files:
        media.restore_file(file, store)
    key_in_use = private_files.restore(manifest.private, store)
    database.create_tables(manifest.migrations)
    database.load(manifest, store)
    call_command("migrate", verbosity=0, interactive=False)
    requeued = _requeue_restored()
    _delete_other_files(manifest)
    return Restored(manifest, requeued, key_in_use)


def _newest_name(store: Store) -> str:
    if not (names := store.names()):
        raise BackupError(f"There is no backup in {store.folder}.")
    return names[-1]


def _check(manifest: Manifest, store: Store) -> None:
    if problems := verify(store, [manifest.name]):
        shown = "\n".join(problems[:MAX_PROBLEMS_SHOWN])
        others = ", ".join(name for name in store.names() if name != manifest.name)
        raise BackupError(
            f"The backup {manifest.name} is damaged, and nothing was changed:\n{shown}\n"
            f"Other backups in this folder (--at): {others or 'none'}."
        )


def _check_target(manifest: Manifest, *, replace: bool) -> None:
    if sessions := database.other_sessions():
        raise BackupError(
            f"The database is in use (other connections: {sessions}). Stop Transcodio (web server, "
            "workers and scheduler) before you restore."
        )
    if replace:
        return
    hint = "Add --replace to delete all data of this installation."
    if tables := database.filled_tables():
        raise BackupError(f"The database is not empty (it has rows in {tables[0]}). {hint}")
    if name := next(media.other_names(manifest.files), None):
        raise BackupError(f"The storage is not empty (it has {name}). {hint}")


def _delete_other_files(manifest: Manifest) -> None:
    for name in list(media.other_names(manifest.files)):
        default_storage.delete(name)


def _requeue_restored() -> int:
    with transaction.atomic(), connection.cursor() as cursor:
        with database.triggers_disabled(cursor):
            return requeue_restored()
