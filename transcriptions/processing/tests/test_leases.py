"""Holding the lease of a recording."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection, connections
from structlog.contextvars import bound_contextvars, get_contextvars

from transcodio_site.testing import wait_until
from transcriptions.models import State, Transcription
from transcriptions.processing import leases, lifecycle, pipeline
from transcriptions.processing.leases import hold_lease
from transcriptions.processing.tests.helpers import FIVE_SENTENCES, fresh
from transcriptions.testing import ScriptedEngine, charged_ms, texts

pytestmark = pytest.mark.django_db(transaction=True)


def test_lease_thread_logs_the_ids_of_its_task(
    prepared: Transcription, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = lifecycle.claim(prepared.id, State.TRANSCRIBING)
    assert row
    contexts: list[dict[str, Any]] = []
    monkeypatch.setattr(lifecycle, "ensure_held", lambda row: contexts.append(get_contextvars()))
    with bound_contextvars(job_id="42"), hold_lease(row):
        wait_until(lambda: contexts)
    assert contexts[0]["job_id"] == "42"


@pytest.mark.covers("fault", "The worker is stopped while the engine is in a long batch")
def test_stopping_worker_returns_its_work_while_the_engine_is_busy(
    prepared: Transcription, engine: ScriptedEngine
) -> None:
    returned: list[str] = []

    def decode_until_returned() -> None:
        leases.shutting_down.set()
        wait_until(lambda: fresh(prepared).state == State.PREPARED)
        returned.extend(texts(prepared))

    engine.before[3] = decode_until_returned
    try:
        assert not pipeline.transcribe(prepared.id)
    finally:
        leases.shutting_down.clear()
    assert returned == FIVE_SENTENCES[:2]
    row = fresh(prepared)
    assert (row.attempts, row.interruptions) == (0, 0)
    engine.before.clear()
    assert pipeline.transcribe(prepared.id)
    assert texts(prepared) == FIVE_SENTENCES


def disconnect_everybody() -> None:
    """End all connections to the database except for this one, as a restart of Postgres does."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.mark.covers("fault", "Postgres is restarted while a recording is transcribed")
@pytest.mark.parametrize("sentence", [1, 3, 5])
def test_recording_continues_when_the_database_is_back(
    prepared: Transcription, engine: ScriptedEngine, sentence: int
) -> None:
    engine.before[sentence] = disconnect_everybody
    try:
        done = pipeline.transcribe(prepared.id)
    finally:
        connections.close_all()
    assert not done
    row = fresh(prepared)
    # No worker was lost: nobody has to wait for the end of a lease.
    assert (row.state, row.interruptions) == (State.PREPARED, 0)
    assert list(Transcription.objects.due(State.PREPARED)) == [row]
    engine.before.clear()
    assert pipeline.transcribe(prepared.id)
    assert texts(prepared) == FIVE_SENTENCES
    assert charged_ms(row.owner) == 10_000
