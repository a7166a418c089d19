"""A recording as a file on this machine's disk, whatever the storage is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from django.db.models.fields.files import FieldFile

COPY_BYTES = 1 << 20  # of a file in memory while it is copied from a remote storage


def local_copy(file: FieldFile, folder: Path, check: Callable[[], None]) -> Path:
    """A path of a stored file: the file itself if the storage is a disk, else a copy in `folder`.

    Raises OSError, and what `check` raises, which is called for each part of a copy.
    """
    try:
        return Path(file.path)
    except NotImplementedError:
        pass
    name = file.name or "file"
    target = folder / Path(name).name
    with file.storage.open(name, "rb") as source, target.open("wb") as out:
        while part := source.read(COPY_BYTES):
            check()
            out.write(part)
    return target
