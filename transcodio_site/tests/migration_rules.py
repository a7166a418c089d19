"""Which migrations may run while the previous release still uses the database.

In a rolling release, old and new code run side by side. A migration may only make additions that
old code does not notice. What old code still reads or writes is removed in a later release, by a
migration that declares this: `unused_since = "0.2.0"`, the first release that no longer used it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from django.db import migrations, models
from django.db.migrations.migration import Migration
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

REMOVING = (
    migrations.RemoveField,
    migrations.DeleteModel,
    migrations.RenameField,
    migrations.RenameModel,
    migrations.AlterModelTable,
)
REMOVING_SQL = re.compile(
    r"\bDROP\s+(TABLE|COLUMN)|\bRENAME\s+(TO|COLUMN)|\bSET\s+NOT\s+NULL", re.IGNORECASE
)


def problems(migration: Migration, last_release: tuple[int, ...], state: ProjectState) -> list[str]:
    """What in this migration breaks the previous release; empty if nothing does.

    `state` is that of the models before the migration. It is changed.
    """
    unused_since = str(getattr(migration, "unused_since", ""))
    if unused_since and _version(unused_since) <= last_release:
        return []
    found = []
    for operation in migration.operations:
        for part in _in_database(operation):
            if problem := _problem(part, migration.app_label, state):
                found.append(f"{migration.app_label}.{migration.name}: {problem}")
        operation.state_forwards(migration.app_label, state)
    return found


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def _in_database(operation: Operation) -> Iterator[Operation]:
    if isinstance(operation, migrations.SeparateDatabaseAndState):
        for part in operation.database_operations:
            yield from _in_database(part)
    else:
        yield operation


def _problem(operation: Operation, app: str, state: ProjectState) -> str:
    if isinstance(operation, REMOVING):
        return f"{operation.describe()}: the previous release still uses it"
    if isinstance(operation, migrations.AddField) and _is_required(operation.field):
        return f"{operation.describe()}: it needs null=True or db_default"
    if isinstance(operation, migrations.AlterField) and _is_required(operation.field):
        model = state.models[app, operation.model_name_lower]
        if not _is_required(model.fields[operation.name]):
            return f"{operation.describe()}: the previous release may leave it empty"
    if isinstance(operation, migrations.RunSQL) and REMOVING_SQL.search(_text(operation.sql)):
        return "RunSQL drops, renames or closes something that the previous release still uses"
    return ""


def _is_required(field: models.Field[Any, Any]) -> bool:
    """Whether old code, which does not know the column, could not insert a row. A `default` in
    Python does not help it: only one in the database does."""
    is_optional = field.null or field.db_default is not models.NOT_PROVIDED
    return not (is_optional or field.many_to_many)


def _text(sql: Any) -> str:
    if isinstance(sql, str):
        return sql
    return " ".join(part if isinstance(part, str) else str(part[0]) for part in sql or ())
