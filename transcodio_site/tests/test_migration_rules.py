"""New migrations leave the database usable for the previous release."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.migration import Migration
from django.db.migrations.operations.base import Operation

from transcodio_site.testing import ROOT
from transcodio_site.tests.migration_rules import problems

# The last release, and the last migration of each app in it. Updated with each release; empty
# before the first one, when there is no installation to upgrade.
RELEASED: dict[str, Any] = json.loads(
    (ROOT / "transcodio_site" / "tests" / "released_migrations.json").read_text()
)


def found_problems(last: dict[str, str], release: tuple[int, ...]) -> list[str]:
    """The problems of our migrations after the last one of each app."""
    loader = MigrationLoader(None)
    return [
        problem
        for (app, name), migration in loader.disk_migrations.items()
        if _is_ours(app) and name > last.get(app, "")
        for problem in problems(migration, release, loader.project_state((app, name), at_end=False))
    ]


def _is_ours(app: str) -> bool:
    path = apps.get_app_config(app).path
    return path.startswith(str(settings.BASE_DIR)) and "site-packages" not in path


def test_new_migrations_do_not_break_the_previous_release() -> None:
    if RELEASED:
        release = tuple(int(part) for part in RELEASED["release"].split("."))
        assert found_problems(RELEASED["migrations"], release) == []


def test_removals_in_the_history_are_found() -> None:
    assert any("0022_rename_fields: Rename field" in each for each in found_problems({}, (0,)))


def migration(*operations: Operation, unused_since: str) -> Migration:
    attributes = {"operations": [*operations], "unused_since": unused_since}
    created: Migration = type("Migration", (Migration,), attributes)("9999_test", "transcriptions")
    return created


def check(operation: Operation, unused_since: str = "") -> list[str]:
    """The problems of a migration that follows all existing ones, if the last release was 0.2.1."""
    state = MigrationLoader(None).project_state()
    return problems(migration(operation, unused_since=unused_since), (0, 2, 1), state)


ADDED = models.IntegerField(null=True)
REMOVAL = migrations.RemoveField("transcription", "title")


@pytest.mark.parametrize(
    "operation",
    [
        migrations.AddField("transcription", "rating", ADDED),
        migrations.AddField("transcription", "rating", models.IntegerField(db_default=0)),
        migrations.CreateModel("Rating", [("id", models.BigAutoField(primary_key=True))]),
        migrations.AddIndex("transcription", models.Index(fields=["title"], name="by_title")),
        migrations.RunSQL("UPDATE transcriptions_transcription SET title = ''"),
        migrations.SeparateDatabaseAndState(state_operations=[REMOVAL]),
    ],
)
def test_additions_are_allowed(operation: Operation) -> None:
    assert check(operation) == []


@pytest.mark.parametrize(
    "operation",
    [
        REMOVAL,
        migrations.RenameField("transcription", "title", "name"),
        migrations.DeleteModel("Segment"),
        migrations.RenameModel("Segment", "Sentence"),
        # Django drops the Python default from the column again.
        migrations.AddField("transcription", "rating", models.IntegerField(default=0)),
        migrations.AlterField("transcription", "completed_at", models.DateTimeField()),
        migrations.RunSQL("ALTER TABLE transcriptions_segment DROP COLUMN words"),
        migrations.RunSQL(["ALTER TABLE a ALTER COLUMN b SET NOT NULL"]),
        migrations.SeparateDatabaseAndState(database_operations=[REMOVAL]),
    ],
)
def test_what_old_code_uses_is_not_removed(operation: Operation) -> None:
    (problem,) = check(operation)
    assert problem.startswith("transcriptions.9999_test: ")


def test_second_step_removes_what_the_previous_release_did_not_use() -> None:
    assert check(REMOVAL, unused_since="0.2.0") == []
    assert check(REMOVAL, unused_since="0.3.0")
