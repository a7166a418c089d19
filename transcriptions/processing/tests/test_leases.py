"""Holding the lease of a recording."""

from __future__ import annotations

import logging
import threading
import uuid
from contextlib import ExitStack
from typing import Any

import pytest
from django.db import OperationalError, connection, connections, transaction
from structlog.contextvars import bound_contextvars, get_contextvars

from accounts.models import User
from transcodio_site.testing import WAIT_S, wait_until
from transcriptions.models import State, Transcription
from transcriptions.processing import commands, leases, lifecycle, pipeline
from transcriptions.processing.leases import hold_lease
from transcriptions.processing.tests.helpers import (
    FIVE_SENTENCES,
    Waiting,
    fresh,
    raising,
    set_expired,
)
from transcriptions.testing import ScriptedEngine, charged_ms, texts

pytestmark = pytest.mark.django_db(transaction=True)


def claim(row: Transcription) -> Transcription:
    claimed = lifecycle.claim(row.id, State.TRANSCRIBING)
    assert claimed
    return claimed


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of how many rows each check was."""
    counts: list[int] = []
    original = lifecycle.still_held

    def still_held(rows: list[Transcription]) -> set[uuid.UUID]:
        counts.append(len(rows))
        return original(rows)

    monkeypatch.setattr(lifecycle, "still_held", still_held)
    return counts


@pytest.mark.covers("fault", "The database does not respond when leases are checked")
def test_failed_check_is_logged_with_the_ids_of_each_task(
    prepared: Transcription, monkeypatch: pytest.MonkeyPatch, checks: list[int]
) -> None:
    contexts: list[dict[str, Any]] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            contexts.append(get_contextvars())

    handler = Handler()
    leases.log.addHandler(handler)
    with bound_contextvars(job_id="42"), hold_lease(claim(prepared)) as holder:
        with monkeypatch.context() as patch:
            patch.setattr(lifecycle, "still_held", raising(OperationalError("away")))
            wait_until(lambda: contexts)
        checks.clear()
        wait_until(lambda: checks)
        assert not holder.is_lost
    leases.log.removeHandler(handler)
    assert contexts[0]["job_id"] == "42"


def test_rows_in_work_share_a_thread_and_its_queries(
    alice: User, waiting: Waiting, checks: list[int], django_assert_num_queries: Any
) -> None:
    rows = [claim(row) for row in waiting(alice, 5)]
    with ExitStack() as stack:
        holders = [stack.enter_context(hold_lease(row)) for row in rows]
        wait_until(lambda: 5 in checks)
        assert [thread.name for thread in threading.enumerate()].count("leases") == 1
        commands.cancel(fresh(rows[2]))
        wait_until(lambda: holders[2].is_lost)
        assert [holder.is_lost for holder in holders] == [False, False, True, False, False]
        checks.clear()
        wait_until(lambda: checks)
        assert set(checks) == {4}  # the cancelled one is not checked any more
    assert "leases" not in [thread.name for thread in threading.enumerate()]
    with django_assert_num_queries(1):
        assert len(lifecycle.still_held(rows)) == 4
    with django_assert_num_queries(4):  # with BEGIN and COMMIT
        lifecycle.renew_leases(rows)


@pytest.mark.covers("fault", "A stuck thread and its successor have leases of the same recording")
def test_only_the_successor_in_the_same_process_has_the_row(prepared: Transcription) -> None:
    stuck = claim(prepared)
    set_expired(stuck)
    lifecycle.recover(Transcription.objects.with_expired_lease())
    successor = claim(prepared)
    for rows in ([stuck, successor], [successor, stuck]):
        assert lifecycle.still_held(rows) == {successor.lease}
    with hold_lease(stuck) as former, hold_lease(successor) as holder:
        wait_until(lambda: former.is_lost)
        assert not holder.is_lost


@pytest.mark.covers("fault", "One recording is locked while the leases of all are renewed")
def test_renewal_waits_for_no_recording_that_is_being_changed(
    alice: User, waiting: Waiting
) -> None:
    locked, free = rows = [claim(row) for row in waiting(alice, 2)]
    for row in rows:
        set_expired(row)

    def renew() -> None:
        lifecycle.renew_leases(rows)
        connection.close()

    with transaction.atomic():
        Transcription.objects.select_for_update().get(id=locked.id)
        thread = threading.Thread(target=renew)
        thread.start()
        thread.join(WAIT_S)
    assert list(Transcription.objects.with_live_lease()) == [free]
    lifecycle.renew_leases(rows)
    assert not Transcription.objects.with_expired_lease().exists()


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
@pytest.mark.parametrize(
    "sentence",
    [pytest.param(1, marks=pytest.mark.slow), 3, pytest.param(5, marks=pytest.mark.slow)],
)
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
