"""Recordings of an earlier release."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from accounts.models import User

pytestmark = pytest.mark.django_db  # everything is rolled back, the schema too

APP = "transcriptions"
WIDE, NARROW = "0016_lease_exactly_while_working", "0019_narrow_transcription"
UNBILLED = {
    "unbilled_decode_seconds": 1.5,
    "unbilled_gpu": "L4",
    "unbilled_queue_seconds": 0.5,
    "unbilled_load_seconds": 3.0,
}


def migrate(name: str) -> Any:
    """Migrate to this migration. Return its apps."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # or no table could be altered
    return MigrationExecutor(connection).migrate([(APP, name)]).apps


@pytest.mark.slow
def test_progress_and_audio_analysis_are_moved_and_back(alice: User) -> None:
    until = timezone.now()
    rows = migrate(WIDE).get_model(APP, "Transcription").objects
    new = {"owner_id": alice.pk, "source_bytes": 1}
    waiting = rows.create(**new).id
    found = {"duration": 10.0, "spans": [[0.5, 9.5]], "peaks": [0, 100]}
    ready = rows.create(**new, state="prepared", lease_until=until, **found, **UNBILLED).id

    apps = migrate(NARROW)
    progress, analysis = apps.get_model(APP, "Progress"), apps.get_model(APP, "AudioAnalysis")
    moved = progress.objects.get(pk=ready)
    assert moved.lease_until == until
    assert {name: getattr(moved, name) for name in UNBILLED} == UNBILLED
    assert progress.objects.get(pk=waiting).lease_until is None
    found_in = analysis.objects.get()
    assert (found_in.pk, found_in.spans, found_in.peaks) == (ready, [[0.5, 9.5]], [0, 100])

    rows = migrate(WIDE).get_model(APP, "Transcription").objects
    moved = rows.get(id=ready)
    assert (moved.lease_until, moved.spans, moved.peaks) == (until, [[0.5, 9.5]], [0, 100])
    assert {name: getattr(moved, name) for name in UNBILLED} == UNBILLED
    assert (rows.get(id=waiting).lease_until, rows.get(id=waiting).spans) == (None, [])
