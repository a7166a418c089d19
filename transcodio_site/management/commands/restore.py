"""`manage.py restore FOLDER`: restores a backup into an empty installation."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from transcodio_site.backup.manifest import BackupError
from transcodio_site.backup.private_files import SECRET_KEY
from transcodio_site.backup.restoration import Restored, restore
from transcodio_site.backup.store import Store


class Command(BaseCommand):
    help = "Restores a backup of `manage.py backup`. Stop the service first."

    def add_arguments(self, parser: CommandParser) -> None:
        """The arguments of the command."""
        parser.add_argument("folder", type=Path)
        parser.add_argument("--at", metavar="NAME", help="default: the newest backup")
        parser.add_argument(
            "--replace", action="store_true", help="delete all data of the installation"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Raises CommandError."""
        _check_user()
        os.umask(0o077)
        store = Store(options["folder"].resolve())
        try:
            restored = restore(store, options["at"], replace=options["replace"])
        except BackupError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(
                f"The restoration failed: {error.filename or store.folder}: "
                f"{error.strerror or error}. Fix the problem and run the command again."
            ) from error
        self._print(restored, store)

    def _print(self, restored: Restored, store: Store) -> None:
        manifest = restored.manifest
        rows = {table.name: table.rows for table in manifest.tables}
        self.stdout.write(
            f"Restored {manifest.name} (Transcodio {manifest.version}): "
            f"{rows.get('accounts_user', 0)} users, "
            f"{rows.get('transcriptions_transcription', 0)} recordings, "
            f"{sum(rows.values())} rows in {len(rows)} tables, {len(manifest.files)} files."
        )
        if restored.requeued:
            self.stdout.write(f"Recordings whose processing starts again: {restored.requeued}.")
        if manifest.missing:
            self.stdout.write(
                f"{len(manifest.missing)} files are missing: they had already been deleted when "
                "the backup was made."
            )
        if not restored.key_in_use:
            self.stdout.write(
                "SECRET_KEY differs from that of the backup: all users have to sign in again, "
                f"unless you set it to the content of {store.path(manifest.private[SECRET_KEY])}."
            )
        self.stdout.write("Now start Transcodio, and check it with `manage.py doctor`.")


def _check_user() -> None:
    """Raises CommandError if the service could not use the restored files."""
    owner = Path(settings.VAR_DIR).stat().st_uid
    if owner != os.geteuid():
        raise CommandError(
            f"{settings.VAR_DIR} belongs to the user {_user_name(owner)}, and this is the user "
            f"{_user_name(os.geteuid())}: the service could not use the restored files. Run this "
            f"command as {_user_name(owner)}, for example with `runuser -u {_user_name(owner)} --`."
        )


def _user_name(user_id: int) -> str:
    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:
        return f"#{user_id}"
