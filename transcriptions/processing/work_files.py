"""Files of one step of the work on a recording."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from django.conf import settings
from django.core.files.base import File

from transcriptions.exceptions import DATABASE_AWAY, StorageUnavailable
from transcriptions.models import Transcription


class _MovableFile(File):  # type: ignore[type-arg]
    """A file that disk storage moves instead of copying, which would need space for two copies."""

    def temporary_file_path(self) -> str:
        """The current path. Django's storage looks for this method."""
        return str(self.name)


@contextmanager
def file_in_storage(row: Transcription, field_name: str, path: Path) -> Iterator[str]:
    """Move a file into the storage, for that field, and yield its name; delete it if the body
    raises.

    After a database error it stays: the body's transaction may be committed although no answer
    came. If it is not, the file is found later as an orphaned file.
    """
    field = getattr(row, field_name).field
    storage = field.storage
    with path.open("rb") as file:
        name = storage.save(field.generate_filename(row, ""), _MovableFile(file))
    try:
        yield name
    except DATABASE_AWAY:
        raise
    except BaseException:
        with suppress(StorageUnavailable):  # later it is an orphaned file
            storage.delete(name)
        raise


@contextmanager
def temporary_folder(row: Transcription) -> Iterator[Path]:
    """A folder that is deleted afterwards, together with those of killed workers that
    had the row before."""
    parent, prefix = settings.FILE_UPLOAD_TEMP_DIR, f"job-{row.id}-"
    parent.mkdir(parents=True, exist_ok=True)
    for abandoned in parent.glob(f"{prefix}*"):
        shutil.rmtree(abandoned, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=parent, prefix=prefix) as folder:
        yield Path(folder)
