"""The folder with the backups.

    backups/TIME.json   a manifest for each backup: it exists only if the backup is complete
    blobs/ab/abcd...    the contents, named by their SHA-256, shared by all backups
    new/                what is being written

A backup that is interrupted leaves no manifest. The next one removes what it began to write, and
uses what it had finished.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import IO

from transcodio_site.backup.manifest import BackupError, Blob, Manifest
from transcodio_site.files import exclusive_lock, write_atomically

BLOCK_BYTES = 1 << 20


class BlobWriter:
    """Writes to a temporary file and computes the checksum."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._size = 0

    def write(self, block: bytes) -> int:
        """Append a block. Raises OSError."""
        self._digest.update(block)
        self._size += len(block)
        return self._file.write(block)

    def flush(self) -> None:
        """Does nothing: gzip expects this method."""

    @property
    def blob(self) -> Blob:
        """What has been written so far."""
        return Blob(self._digest.hexdigest(), self._size)


class Store:
    """A backup folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._backups, self._blobs, self._new = (folder / n for n in ("backups", "blobs", "new"))
        self._changed: set[Path] = set()  # folders whose entries are not yet safe on the disk

    # --- Writing ------------------------------------------------------------------------------

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Create the folder, and let only one process write to it. Raises BackupError, OSError."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._backups.exists() and any(self.folder.iterdir()):
            raise BackupError(
                f"{self.folder} contains other files. Name an empty folder, or one that does not "
                "exist yet."
            )
        for folder in (self._backups, self._blobs, self._new):
            folder.mkdir(mode=0o700, exist_ok=True)
        try:
            with exclusive_lock(self.folder / "lock", wait=False):
                for unfinished in self._new.iterdir():
                    unfinished.unlink()
                yield
        except BlockingIOError:
            raise BackupError(f"Another backup is being written to {self.folder}.") from None

    @contextmanager
    def writer(self) -> Iterator[BlobWriter]:
        """Store what the body writes. Raises OSError."""
        descriptor, name = tempfile.mkstemp(dir=self._new)
        path = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                writer = BlobWriter(file)
                yield writer
                file.flush()
                os.fsync(descriptor)
            self._keep(path, writer.blob)
        finally:
            path.unlink(missing_ok=True)

    def add(self, blocks: Iterable[bytes]) -> Blob:
        """Store content. Raises OSError."""
        with self.writer() as writer:
            for block in blocks:
                writer.write(block)
        return writer.blob

    def _keep(self, path: Path, blob: Blob) -> None:
        target = self.path(blob)
        target.parent.mkdir(mode=0o700, exist_ok=True)
        path.replace(target)  # even if it exists: that one may be damaged
        self._changed |= {target.parent, self._blobs}

    def publish(self, manifest: Manifest) -> None:
        """Make a backup valid when all of its contents are safe on the disk. Raises OSError."""
        for folder in self._changed:
            _sync(folder)
        self._changed.clear()
        write_atomically(self._backups / f"{manifest.name}.json", manifest.serialized())
        _sync(self._backups)

    def delete_old(self, keep: int) -> int:
        """Delete all but the newest backups, and contents to which no backup refers. Return how
        many backups were deleted. Raises BackupError, OSError."""
        old = self.names()[:-keep]
        for name in old:
            (self._backups / f"{name}.json").unlink()
        # A backup that cannot be read may refer to any of them.
        used = {blob.sha256 for name in self.names() for _, blob in self.manifest(name).contents()}
        for path in self._blobs.glob("*/*"):
            if path.name not in used:
                path.unlink()
        return len(old)

    # --- Reading ------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """The backups, the newest last."""
        return sorted(path.stem for path in self._backups.glob("*.json"))

    def newest(self) -> Manifest | None:
        """The newest backup that can be read."""
        for name in reversed(self.names()):
            try:
                return self.manifest(name)
            except BackupError:
                continue
        return None

    def manifest(self, name: str) -> Manifest:
        """The backup of that name. Raises BackupError."""
        path = self._backups / f"{name}.json"
        try:
            return Manifest.parsed(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise BackupError(f"There is no backup {name} in {self.folder}.") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BackupError(
                f"The backup {name} is damaged: {path}: {error}. Delete this file if you have "
                "other backups."
            ) from error

    def has(self, blob: Blob) -> bool:
        """Whether the content is there, with the right size. The content itself is not read."""
        try:
            return self.path(blob).stat().st_size == blob.size
        except OSError:
            return False

    def open(self, blob: Blob) -> BufferedReader:
        """The content. Raises OSError."""
        return self.path(blob).open("rb")

    def problem(self, blob: Blob) -> str:
        """Why the content cannot be used; empty if it is intact."""
        try:
            with self.open(blob) as file:
                intact = hashlib.file_digest(file, "sha256").hexdigest() == blob.sha256
        except FileNotFoundError:
            return f"{self.path(blob)} is missing"
        except OSError as error:
            return f"{self.path(blob)} cannot be read: {error.strerror}"
        return "" if intact else f"{self.path(blob)} is damaged"

    def path(self, blob: Blob) -> Path:
        """Where the content is."""
        return self._blobs / blob.sha256[:2] / blob.sha256


def blocks(file: IO[bytes]) -> Iterator[bytes]:
    """The content of a file, a part at a time. Raises OSError."""
    while block := file.read(BLOCK_BYTES):
        yield block


def _sync(folder: Path) -> None:
    """Make names in a folder survive a power failure. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
