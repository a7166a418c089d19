"""What one backup consists of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

FORMAT = 1


class BackupError(Exception):
    """A backup cannot be written, read or restored. `str()` says why and what to do."""


@dataclass(frozen=True, slots=True)
class Blob:
    """Content that is stored under its checksum."""

    sha256: str
    size: int  # bytes


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a table, as the text format of Postgres' COPY, compressed with gzip."""

    name: str
    columns: tuple[str, ...]
    rows: int
    blob: Blob


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of Django's storage."""

    name: str
    modified: str  # its time stamp, to recognize a file that has not changed
    blob: Blob


@dataclass(frozen=True, slots=True)
class Manifest:
    """One backup."""

    name: str  # its time
    version: str  # of Transcodio
    migrations: tuple[tuple[str, str], ...]  # that were applied: app and name
    tables: tuple[Table, ...]
    sequences: dict[str, int]  # the last value by "table.column"
    files: tuple[StoredFile, ...]
    private: dict[str, Blob]  # files of VAR_DIR, such as the secret key
    missing: tuple[str, ...] = field(default=())  # files that rows refer to, but that did not exist

    def contents(self) -> Iterator[tuple[str, Blob]]:
        """Everything that the backup refers to, each with a description for people."""
        yield from self.private.items()
        yield from ((f"table {table.name}", table.blob) for table in self.tables)
        yield from ((file.name, file.blob) for file in self.files)

    def serialized(self) -> str:
        """A line with the checksum, and JSON."""
        text = json.dumps(asdict(self) | {"format": FORMAT}, separators=(",", ":"))
        return f"{_checksum(text)}\n{text}\n"

    @classmethod
    def parsed(cls, serialized: str) -> Manifest:
        """Raises ValueError if it is damaged, BackupError if a newer release wrote it."""
        checksum, _, text = serialized.partition("\n")
        if checksum != _checksum(text.rstrip("\n")):
            raise ValueError("the checksum does not match")
        values = json.loads(text)
        if values.pop("format") != FORMAT:
            raise BackupError(f"Transcodio {values.get('version')} or newer is needed to read it.")
        return cls(
            name=values["name"],
            version=values["version"],
            migrations=tuple((app, name) for app, name in values["migrations"]),
            tables=tuple(_table(table) for table in values["tables"]),
            sequences=values["sequences"],
            files=tuple(_stored_file(file) for file in values["files"]),
            private={name: Blob(**blob) for name, blob in values["private"].items()},
            missing=tuple(values["missing"]),
        )


def _table(values: dict[str, Any]) -> Table:
    parts = {"columns": tuple(values["columns"]), "blob": Blob(**values["blob"])}
    return Table(**(values | parts))


def _stored_file(values: dict[str, Any]) -> StoredFile:
    return StoredFile(**(values | {"blob": Blob(**values["blob"])}))


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
