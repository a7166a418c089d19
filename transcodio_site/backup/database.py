"""The rows of the database: read in one snapshot, and written back in one transaction.

Rows are copied as text, which every version of Postgres reads. So a backup can be restored into the
embedded server or any other, with only the rights of the application and without other programs.
Tables are created by the migrations that the backup lists.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, cast

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from psycopg.sql import SQL, Identifier

from transcodio_site.backup.manifest import BackupError, Manifest, Table
from transcodio_site.backup.store import Store, blocks

COMPRESSION = 3  # of 9: half the time of the default, for a tenth more space
# Rows that migrations create, and that are replaced when a backup is restored.
FILLED_BY_MIGRATIONS = frozenset(
    {"django_migrations", "django_content_type", "auth_permission", "accounts_plan"}
)
# Settings of a role or a database must neither stop a long copy nor change how values are written.
SESSION = (
    "SET LOCAL statement_timeout = 0",
    "SET LOCAL lock_timeout = 0",
    "SET LOCAL idle_in_transaction_session_timeout = 0",
    "SET LOCAL synchronize_seqscans = off",  # the same rows in the same order: the same checksum
    "SET LOCAL datestyle = 'ISO'",
    "SET LOCAL intervalstyle = 'postgres'",
    "SET LOCAL extra_float_digits = 1",
    "SET LOCAL bytea_output = 'hex'",
)
# Ordinary and partitioned tables in our schema, except those of extensions.
TABLES = """
SELECT relname FROM pg_class
WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')
AND NOT relispartition
AND NOT EXISTS (SELECT FROM pg_depend
    WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e')
ORDER BY relname
"""
COLUMNS = """
SELECT attname FROM pg_attribute
WHERE attrelid = quote_ident(%s)::regclass AND attnum > 0 AND NOT attisdropped
AND attgenerated = ''
ORDER BY attnum
"""
SEQUENCE = "SELECT pg_get_serial_sequence(quote_ident(%s), %s)"
LAST_VALUE = "SELECT last_value FROM {} WHERE is_called"
# Everything in our schema that is not a part of something else.
OBJECTS = """
WITH object AS (
    SELECT tableoid, oid FROM pg_class WHERE relnamespace = current_schema()::regnamespace
        AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
    UNION ALL SELECT tableoid, oid FROM pg_proc
        WHERE pronamespace = current_schema()::regnamespace
    UNION ALL SELECT tableoid, oid FROM pg_type
        WHERE typnamespace = current_schema()::regnamespace AND typtype IN ('e', 'd')
    UNION ALL SELECT tableoid, oid FROM pg_collation
        WHERE collnamespace = current_schema()::regnamespace
    UNION ALL SELECT tableoid, oid FROM pg_ts_config
        WHERE cfgnamespace = current_schema()::regnamespace
    UNION ALL SELECT tableoid, oid FROM pg_ts_dict
        WHERE dictnamespace = current_schema()::regnamespace
)
SELECT format('DROP %s IF EXISTS %s CASCADE', described.type, described.identity)
FROM object, pg_identify_object(object.tableoid, object.oid, 0) AS described
WHERE NOT EXISTS (SELECT FROM pg_depend
    WHERE classid = object.tableoid AND objid = object.oid AND deptype IN ('e', 'i'))
"""
OTHER_SESSIONS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
"""

Migrations = tuple[tuple[str, str], ...]


# --- Reading --------------------------------------------------------------------------------------


@contextmanager
def snapshot() -> Iterator[CursorWrapper]:
    """A transaction that sees the database as it is now, whatever changes meanwhile."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        for setting in SESSION:
            cursor.execute(setting)
        for table in tables(cursor):  # until the end no migration can change them
            cursor.execute(SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(Identifier(table)))
        yield cursor


def tables(cursor: CursorWrapper) -> list[str]:
    """The names of all tables, including those of former releases."""
    cursor.execute(TABLES)
    return [name for (name,) in cursor.fetchall()]


def columns(cursor: CursorWrapper, table: str) -> tuple[str, ...]:
    """The columns that are stored, not generated."""
    cursor.execute(COLUMNS, [table])
    return tuple(name for (name,) in cursor.fetchall())


def dump(cursor: CursorWrapper, name: str, store: Store) -> Table:
    """Store the rows of a table. Raises OSError."""
    names = columns(cursor, name)
    query = SQL("COPY (SELECT {} FROM {}) TO STDOUT").format(_list(names), Identifier(name))
    rows = 0
    with store.writer() as writer:
        # Without a time stamp, so that the same rows have the same checksum.
        with gzip.GzipFile("", "wb", COMPRESSION, cast("IO[bytes]", writer), mtime=0) as packed:
            with cursor.copy(query) as copy:
                for block in copy:
                    rows += bytes(block).count(b"\n")
                    packed.write(block)
    return Table(name, names, rows, writer.blob)


def sequences(cursor: CursorWrapper, names: list[str]) -> dict[str, int]:
    """The last value of each sequence that has been used, by "table.column".

    Sequences are not a part of a snapshot: read them after it was taken.
    """
    values = {}
    for table in names:
        for column in columns(cursor, table):
            if sequence := _sequence(cursor, table, column):
                cursor.execute(LAST_VALUE.format(sequence))
                if row := cursor.fetchone():
                    values[f"{table}.{column}"] = row[0]
    return values


def applied_migrations() -> Migrations:
    """The migrations that the database has."""
    return tuple(sorted(MigrationRecorder(connection).applied_migrations()))


def _sequence(cursor: CursorWrapper, table: str, column: str) -> str | None:
    """The quoted name of its sequence; None if it has none."""
    cursor.execute(SEQUENCE, [table, column])
    row = cursor.fetchone()
    return row[0] if row else None


def _list(names: tuple[str, ...]) -> SQL:
    return cast("SQL", SQL(", ").join(map(Identifier, names)))


# --- Writing --------------------------------------------------------------------------------------


def other_sessions() -> int:
    """How many other connections of our role the database has."""
    with connection.cursor() as cursor:
        cursor.execute(OTHER_SESSIONS)
        return int(cursor.fetchone()[0])


def filled_tables() -> list[str]:
    """Tables with rows that no migration has created."""
    with connection.cursor() as cursor:
        return [
            table
            for table in tables(cursor)
            if table not in FILLED_BY_MIGRATIONS and _has_rows(cursor, table)
        ]


def _has_rows(cursor: CursorWrapper, table: str) -> bool:
    cursor.execute(SQL("SELECT EXISTS (SELECT FROM {})").format(Identifier(table)))
    return bool(cursor.fetchone()[0])


def check_migrations(manifest: Manifest) -> None:
    """Raises BackupError if this release does not know all migrations of a backup."""
    known = MigrationExecutor(connection).loader.disk_migrations
    unknown = [f"{app}.{name}" for app, name in manifest.migrations if (app, name) not in known]
    if unknown:
        raise BackupError(
            f"The backup {manifest.name} is of Transcodio {manifest.version}, and this release "
            f"does not know its tables ({unknown[0]}). Install Transcodio {manifest.version}, or "
            "a newer release, and restore with that."
        )


def create_tables(migrations: Migrations) -> None:
    """Delete everything in the database, and create the tables as they were after `migrations`."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(OBJECTS)
        for (statement,) in cursor.fetchall():
            cursor.execute(statement)
    executor = MigrationExecutor(connection)
    nodes = executor.loader.graph.node_map
    # Those that no other one requires: the executor would undo what comes after a target.
    applied = set(migrations)
    last = [key for key in migrations if applied.isdisjoint(c.key for c in nodes[key].children)]
    executor.migrate(last)


def load(manifest: Manifest, store: Store) -> None:
    """Replace all rows, in one transaction. Raises BackupError, OSError."""
    with transaction.atomic(), connection.cursor() as cursor:
        for setting in SESSION:
            cursor.execute(setting)
        with triggers_disabled(cursor):
            for table in tables(cursor):
                cursor.execute(SQL("DELETE FROM {}").format(Identifier(table)))
            for dumped in manifest.tables:
                _load_table(cursor, dumped, store)
        for column, value in manifest.sequences.items():
            sequence = _sequence(cursor, *column.rsplit(".", 1))
            cursor.execute("SELECT setval(%s::regclass, %s)", [sequence, value])


@contextmanager
def triggers_disabled(cursor: CursorWrapper) -> Iterator[None]:
    """Turn our triggers off while the body runs: they would refuse old states, and keep rows that
    must be replaced. Foreign keys are checked at the end."""
    names = tables(cursor)
    for table in names:
        cursor.execute(SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(Identifier(table)))
    yield
    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    for table in names:
        cursor.execute(SQL("ALTER TABLE {} ENABLE TRIGGER USER").format(Identifier(table)))


def _load_table(cursor: CursorWrapper, table: Table, store: Store) -> None:
    query = SQL("COPY {} ({}) FROM STDIN").format(Identifier(table.name), _list(table.columns))
    with store.open(table.blob) as packed, gzip.open(packed) as rows:
        with cursor.copy(query) as copy:
            for block in blocks(cast("IO[bytes]", rows)):
                copy.write(block)
    if cursor.rowcount != table.rows:
        raise BackupError(
            f"The table {table.name} has {cursor.rowcount} rows instead of {table.rows}."
        )
