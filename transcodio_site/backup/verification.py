"""Whether everything in a backup is intact."""

from __future__ import annotations

import gzip
import zlib
from typing import IO, cast

from transcodio_site.backup.manifest import BackupError, Blob, Manifest, Table
from transcodio_site.backup.store import Store, blocks


def verify(store: Store, names: list[str]) -> list[str]:
    """Read these backups completely. Return a sentence for each problem."""
    problems: list[str] = []
    checked: dict[Blob, str] = {}  # most contents are shared by several backups
    for name in names:
        try:
            manifest = store.manifest(name)
        except BackupError as error:
            problems.append(str(error))
            continue
        for description, blob in manifest.contents():
            if blob not in checked:
                checked[blob] = store.problem(blob)
            if checked[blob]:
                problems.append(f"{name}: {description}: {checked[blob]}.")
        problems += _wrong_counts(store, manifest, checked)
    return problems


def _wrong_counts(store: Store, manifest: Manifest, checked: dict[Blob, str]) -> list[str]:
    intact = [table for table in manifest.tables if not checked[table.blob]]
    return [
        f"{manifest.name}: table {table.name}: {found} rows instead of {table.rows}."
        for table in intact
        if (found := _rows(store, table)) != table.rows
    ]


def _rows(store: Store, table: Table) -> int:
    """The number of rows: each is a line, and a line break within a value is written as \\n."""
    try:
        with store.open(table.blob) as packed, gzip.open(packed) as rows:
            return sum(block.count(b"\n") for block in blocks(cast("IO[bytes]", rows)))
    except (OSError, EOFError, zlib.error):
        return -1
