"""`manage.py backup FOLDER`: a backup of the whole installation, or a check of all backups."""

from __future__ import annotations

import os
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.template.defaultfilters import filesizeformat

from transcodio_site.backup import record
from transcodio_site.backup.creation import Created, create
from transcodio_site.backup.manifest import BackupError
from transcodio_site.backup.store import Store
from transcodio_site.backup.verification import verify


class Command(BaseCommand):
    help = (
        "Backs up the database, the recordings and the secret key. Safe while the service runs. "
        "Only what has changed since the last backup is added to the folder."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """The arguments of the command."""
        parser.add_argument("folder", type=Path, help="on another disk, or on another machine")
        parser.add_argument("--keep", type=_count, help="delete all but the newest KEEP backups")
        parser.add_argument("--verify", action="store_true", help="check all backups in the folder")

    def handle(self, *args: Any, **options: Any) -> None:
        """Raises CommandError."""
        os.umask(0o077)
        store = Store(options["folder"].resolve())
        try:
            if options["verify"]:
                self._verify(store)
            else:
                self._created(store, create(store, options["keep"]))
        except BackupError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            where = error.filename or store.folder
            raise CommandError(
                f"The backup failed: {where}: {error.strerror or error}. Earlier backups are "
                "unchanged."
            ) from error

    def _created(self, store: Store, created: Created) -> None:
        manifest = created.manifest
        rows = sum(table.rows for table in manifest.tables)
        total = sum(file.blob.size for file in manifest.files)
        self.stdout.write(
            f"Backup {manifest.name}: {rows} rows, {len(manifest.files)} files "
            f"({filesizeformat(total)}), {created.new_files} of them new."
        )
        if manifest.missing:
            self.stdout.write(
                f"{len(manifest.missing)} files no longer existed, such as {manifest.missing[0]}."
            )
        if created.lost:
            raise CommandError(_incomplete(created))
        record.write(store.folder, manifest.name)
        if created.deleted_backups:
            self.stdout.write(f"Old backups deleted: {created.deleted_backups}.")
        self.stdout.write("It contains the secret key: keep it as safe as the installation.")

    def _verify(self, store: Store) -> None:
        names = store.names()
        if not names:
            raise CommandError(f"There is no backup in {store.folder}.")
        if problems := verify(store, names):
            raise CommandError(
                "\n".join(problems) + "\nDelete the damaged files and make a new backup: it stores "
                "again what the installation still has."
            )
        self.stdout.write(f"Intact: {', '.join(names)}.")


def _incomplete(created: Created) -> str:
    return (
        f"Backup {created.manifest.name} is incomplete: {len(created.lost)} recordings have lost "
        f"their files, such as {created.lost[0]}. No older backup was deleted. Check that VAR_DIR "
        "and STORAGE_URL are those of the service, and that the disk is mounted. If the files are "
        "lost, delete these recordings, or restore a backup that has them."
    )


def _count(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise ArgumentTypeError(f"{text!r} is not a positive number")
    return int(text)
