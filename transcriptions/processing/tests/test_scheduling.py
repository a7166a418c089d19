"""Accounts take turns, and recordings that may kill workers are worked on one at a time."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import User
from transcriptions.models import State, Transcription
from transcriptions.processing import lifecycle, pipeline
from transcriptions.processing.scheduling import SUSPECT_AFTER, claim_next
from transcriptions.processing.tests.helpers import Waiting, expire, fresh
from transcriptions.testing import ScriptedEngine, add_segment, run_concurrently

pytestmark = pytest.mark.django_db(transaction=True)


def claim() -> Transcription:
    row = claim_next(State.TRANSCRIBING)
    assert row
    return row


def claim_all() -> list[Transcription]:
    """Claim until there is nothing more to claim, as a worker does that has many threads."""
    return list(iter(lambda: claim_next(State.TRANSCRIBING), None))


def claim_and_finish() -> User:
    row = claim()
    lifecycle.mark_failed(row, "code", "message")
    return row.owner


@pytest.mark.covers("attack", "One account submits hundreds of recordings before another's first")
def test_accounts_take_turns(waiting: Waiting, alice: User, bob: User, carol: User) -> None:
    waiting(alice, 20)
    assert [claim_and_finish() for _ in range(5)] == [alice] * 5
    waiting(bob, 2)
    waiting(carol, 1)
    turns = [claim_and_finish() for _ in range(6)]
    assert set(turns[:3]) == {alice, bob, carol}
    assert turns[3:] == [alice, bob, alice] or turns[3:] == [bob, alice, alice]


def test_recordings_of_an_account_are_in_order(waiting: Waiting, alice: User) -> None:
    rows = waiting(alice, 3)
    assert [claim() for _ in rows] == rows


@pytest.mark.covers("attack", "One account occupies all workers with long recordings")
def test_one_account_cannot_occupy_all_threads(
    waiting: Waiting, alice: User, bob: User, settings: Any
) -> None:
    settings.JOBS_PER_ACCOUNT = 2
    first, *_ = waiting(alice, 4)
    assert waiting(alice, 1, state=State.QUEUED)
    assert claim_next(State.PREPROCESSING)  # work on the CPU counts too
    assert claim() == first
    assert claim_next(State.TRANSCRIBING) is None
    waiting(bob, 1)
    assert claim().owner == bob
    lifecycle.mark_failed(Transcription.objects.get(id=first.id), "code", "message")
    assert claim().owner == alice


def test_limits_hold_for_concurrent_claims(waiting: Waiting, alice: User, settings: Any) -> None:
    settings.JOBS_PER_ACCOUNT = 2
    waiting(alice, 6)
    claimed = run_concurrently(*[lambda: claim_next(State.TRANSCRIBING)] * 6)
    rows = [row for row in claimed if row]
    assert len(rows) == len({row.id for row in rows}) == 2


@pytest.mark.covers("fault", "A recording kills every worker that works on it")
def test_recordings_complete_while_one_kills_workers(
    waiting: Waiting, alice: User, bob: User, engine: ScriptedEngine
) -> None:
    (killer,) = waiting(alice, 1)
    bystanders = waiting(bob, 4)
    deaths = 0
    while working := claim_all():
        if killer in working and fresh(killer).interruptions < pipeline.MAX_ATTEMPTS:
            deaths += 1  # all die before their first segment
            for row in working:
                expire(row)
            continue
        for row in working:
            pipeline.run(row)
    assert deaths == pipeline.MAX_ATTEMPTS
    assert fresh(killer).state == State.FAILED
    assert [fresh(row).state for row in bystanders] == [State.COMPLETED] * 4


def test_suspects_are_worked_on_one_at_a_time(waiting: Waiting, alice: User) -> None:
    waiting(alice, 2, interruptions=SUSPECT_AFTER)
    (innocent,) = waiting(alice, 1)
    suspect = claim()
    assert suspect.interruptions == SUSPECT_AFTER
    assert claim() == innocent
    assert claim_next(State.TRANSCRIBING) is None
    add_segment(suspect, 1)  # progress: it is no suspect any more
    assert claim().interruptions == SUSPECT_AFTER


@pytest.mark.covers("fault", "Workers die again and again while a long recording makes progress")
def test_progress_resets_attempts_and_interruptions(waiting: Waiting, alice: User) -> None:
    waiting(alice, 1)
    for number in range(1, 2 * pipeline.MAX_ATTEMPTS):
        row = claim()
        assert row.interruptions <= 1
        add_segment(row, number)
        expire(row)
        lifecycle.reschedule(claim(), "engine_unreachable", 0.0)
    assert (fresh(row).attempts, fresh(row).interruptions) == (1, 1)
