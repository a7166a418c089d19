"""The files that results are written to."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from transcodio_site.cli.client import readable


def target_paths(files: list[Path], folder: Path, extension: str) -> Iterator[Path]:
    """A path for the result of each file; files of the same name get a number."""
    used: set[str] = set()
    for file in files:
        stem, number = file.stem, 1
        while stem in used:
            number += 1
            stem = f"{file.stem}-{number}"
        used.add(stem)
        yield folder / f"{stem}.{extension}"


def check_target(path: Path | None) -> None:
    """Raises OSError if the file cannot be written: checked before anything is uploaded."""
    if path is None:
        return
    if path.is_dir():
        raise os_error(errno.EISDIR, path)
    existing = path if path.exists() else path.parent
    if not existing.exists():
        raise os_error(errno.ENOENT, existing)
    if existing != path and not existing.is_dir():
        raise os_error(errno.ENOTDIR, existing)
    if not os.access(existing, os.W_OK):
        raise os_error(errno.EACCES, existing)


def os_error(number: int, path: Path) -> OSError:
    """The OSError that the operating system would raise."""
    return OSError(number, os.strerror(number), str(path))


def os_error_message(error: OSError) -> str:
    """The file and the reason."""
    prefix = f"{readable(os.fsdecode(error.filename))}: " if error.filename else ""
    return f"{prefix}{error.strerror or error}"
