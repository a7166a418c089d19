"""The order of recordings: weights, priorities, and what choosing costs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from transcodio_site.testing import HOLD_FOLDER, ROOT, wait_until
from transcriptions.models import AccountQueue, Priority, Progress, State, Transcription
from transcriptions.processing import commands
from transcriptions.processing.scheduling import claim_next, enqueue_next
from transcriptions.processing.tests.helpers import Waiting, worker_environment
from transcriptions.processing.turns import CLAIMS_PER_TURN_OF_LOWER_PRIORITY
from transcriptions.testing import MP3, assign_plan, queue_many, scans, set_state
from transcriptions.uploads.service import create_transcription

pytestmark = pytest.mark.django_db(transaction=True)


def claim_and_finish(count: int) -> Iterator[Transcription]:
    """The next rows, as a worker with one thread claims them."""
    for _ in range(count):
        row = claim_next(State.TRANSCRIBING)
        assert row
        set_state(State.FAILED, Transcription.objects.filter(id=row.id))
        yield row


@pytest.mark.covers("attack", "One account submits 1,000 recordings before another's first")
def test_ten_recordings_alternate_with_a_thousand_of_another_account(
    waiting: Waiting, alice: User, bob: User
) -> None:
    queue_many(alice, 1000)
    assert {row.owner for row in claim_and_finish(5)} == {alice}
    waiting(bob, 10)
    owners = [row.owner for row in claim_and_finish(22)]
    assert owners[:20].count(bob) == owners[:20].count(alice) == 10
    for number in range(0, 20, 2):
        assert set(owners[number : number + 2]) == {alice, bob}
    assert owners[20:] == [alice] * 2


@contextmanager
def worker(folder: Path, settings: Any) -> Iterator[None]:
    """A worker with one thread, in a process of its own."""
    environment = worker_environment(settings) | {
        "PYTHONPATH": str(HOLD_FOLDER),
        "HOLD_FILE": str(folder / "hold"),
        "DETERMINISTIC_ENGINE": str(folder),
        "WORKER_CONCURRENCY": "1",
    }
    options = ["--queues", "preprocess,transcribe", "--without-gossip", "--without-mingle"]
    command = [sys.executable, "-m", "celery", "-A", "transcodio_site", "--quiet", "worker"]
    process = subprocess.Popen([*command, *options], cwd=ROOT, env=environment)
    try:
        yield
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
@pytest.mark.covers("attack", "A worker has many uploads of one account and a few of another")
def test_worker_completes_a_few_uploads_among_many_of_another_account(
    alice: User, bob: User, folders: None, settings: Any, tmp_path: Path
) -> None:
    for owner, count in ((alice, 8), (bob, 2)):
        for _ in range(count):
            create_transcription(owner, SimpleUploadedFile("a.mp3", MP3))
    with worker(tmp_path, settings):
        wait_until(lambda: Transcription.objects.filter(owner=bob, state="completed").count() == 2)
    done = Transcription.objects.filter(state=State.COMPLETED).order_by("completed_at")
    owners = list(done.values_list("owner_id", flat=True))
    last = max(place for place, owner_id in enumerate(owners) if owner_id == bob.pk)
    assert owners[:last].count(alice.pk) <= 3


def test_accounts_take_turns_in_proportion_to_the_weights_of_their_plans(
    waiting: Waiting, alice: User, bob: User
) -> None:
    queue_many(alice, 1000)
    assign_plan(bob, queue_weight=3)
    waiting(bob, 30)
    owners = [row.owner for row in claim_and_finish(40)]
    for number in range(0, 40, 4):
        assert owners[number : number + 4].count(bob) == 3


def test_account_that_was_idle_has_saved_no_turns(waiting: Waiting, alice: User, bob: User) -> None:
    waiting(bob, 1)
    assert [row.owner for row in claim_and_finish(1)] == [bob]
    queue_many(alice, 100)
    assert len(list(claim_and_finish(50))) == 50
    waiting(bob, 20)
    assert [row.owner for row in claim_and_finish(20)].count(bob) == 10


def test_account_that_submits_one_recording_at_a_time_gets_no_more_turns(
    waiting: Waiting, alice: User, bob: User
) -> None:
    queue_many(alice, 100)
    owners = []
    for _ in range(20):
        if not Transcription.objects.filter(owner=bob, state=State.PREPARED).exists():
            waiting(bob, 1)
        owners += [row.owner for row in claim_and_finish(1)]
    Transcription.objects.filter(owner=bob).delete()  # what is deleted has had its turn
    waiting(bob, 1)
    owners += [row.owner for row in claim_and_finish(2)]
    assert owners.count(bob) == 11


def test_newcomer_does_not_wait_for_what_is_prepared_in_advance(
    waiting: Waiting, alice: User, bob: User
) -> None:
    queue_many(alice, 30)
    assert len(list(claim_and_finish(3))) == 3
    late = Transcription.objects.filter(virtual_start__gte=20)
    set_state(State.QUEUED, late)
    for _ in range(5):  # the preparation is far ahead of the recognition
        assert claim_next(State.PREPROCESSING)
    waiting(bob, 2)
    assert [row.owner for row in claim_and_finish(4)].count(bob) == 2


@pytest.mark.covers("attack", "Batch recordings are submitted before interactive ones")
def test_interactive_recordings_go_before_batch_which_never_starves(
    waiting: Waiting, alice: User, bob: User
) -> None:
    waiting(alice, 5, priority=Priority.BATCH)
    waiting(bob, 40)
    claimed = [row.priority for row in claim_and_finish(45)]
    turn = CLAIMS_PER_TURN_OF_LOWER_PRIORITY
    for number in range(0, 40, turn):
        ten = [Priority.INTERACTIVE] * (turn - 1) + [Priority.BATCH]
        assert claimed[number : number + turn] == ten
    assert claimed[40:].count(Priority.BATCH) == 1


def test_batch_goes_on_while_interactive_recordings_may_not_be_claimed(
    waiting: Waiting, alice: User, bob: User, settings: Any
) -> None:
    settings.JOBS_PER_ACCOUNT = 1
    waiting(alice, 2)
    waiting(bob, 1, priority=Priority.BATCH)
    claimed = [claim_next(State.TRANSCRIBING) for _ in range(3)]
    assert [row and row.owner for row in claimed] == [alice, bob, None]


def test_resumed_recording_takes_a_new_turn(waiting: Waiting, alice: User, bob: User) -> None:
    (first,) = waiting(bob, 1)
    assert [row.owner for row in claim_and_finish(1)] == [bob]
    queue_many(alice, 10)
    assert len(list(claim_and_finish(5))) == 5
    commands.retry(Transcription.objects.get(id=first.id))
    assert Transcription.objects.get(id=first.id).virtual_start >= 4


# --- What it costs ------------------------------------------------------------------------------


WAITING_ROWS = 20_000


def analyze() -> None:
    """Let PostgreSQL plan with statistics of the rows of now, until many have changed."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE transcriptions_transcription, transcriptions_progress")


def current_statistics(alice: User, bob: User) -> None:
    queue_many(alice, WAITING_ROWS)
    analyze()


def statistics_of_an_old_server(alice: User, bob: User) -> None:
    """All recordings had completed."""
    queue_many(bob, 3000)
    set_state(State.COMPLETED)
    analyze()
    queue_many(alice, WAITING_ROWS)


def statistics_of_nearly_empty_tables(alice: User, bob: User) -> None:
    """Nearly all rows had been deleted."""
    with transaction.atomic():
        queue_many(alice, WAITING_ROWS)
        transaction.set_rollback(True)
    queue_many(bob, 1)
    set_state(State.COMPLETED)
    analyze()
    queue_many(alice, WAITING_ROWS)


def statistics_of_delayed_recordings(alice: User, bob: User) -> None:
    """The engine was away: all recordings waited for a later time."""
    queue_many(alice, WAITING_ROWS)
    Progress.objects.update(lease_until=timezone.now() + timedelta(hours=1))
    analyze()
    Progress.objects.update(lease_until=None)


@pytest.mark.slow
@pytest.mark.parametrize(
    "queue_rows",
    [
        current_statistics,
        statistics_of_an_old_server,
        statistics_of_nearly_empty_tables,
        statistics_of_delayed_recordings,
    ],
)
def test_claim_reads_a_few_of_twenty_thousand_waiting_rows(
    alice: User, bob: User, queue_rows: Callable[[User, User], None]
) -> None:
    queue_rows(alice, bob)
    assert claim_next(State.TRANSCRIBING)  # creates what the scheduler remembers
    with CaptureQueriesContext(connection) as queries:
        assert claim_next(State.TRANSCRIBING)
    assert len(queries) == 10  # with BEGIN and COMMIT: the lock is held for all of them
    with CaptureQueriesContext(connection) as later_queries:
        enqueue_next()
    statements = [query["sql"] for query in (*queries, *later_queries)]
    reading = [sql for sql in statements if sql.startswith(("SELECT", "(SELECT", "UPDATE"))]
    found = [scan for sql in reading for scan in scans(sql)]
    assert "waiting_by_turn" in {scan.index for scan in found}
    assert not [scan for scan in found if scan.rows >= 10]


def test_upgrade_gives_waiting_recordings_their_turns(
    waiting: Waiting, alice: User, bob: User
) -> None:
    rows = [*waiting(alice, 3), *waiting(bob, 2)]
    Transcription.objects.update(virtual_start=0)
    AccountQueue.objects.all().delete()
    migration = import_module("transcriptions.migrations.0025_turns_of_waiting")
    migration.assign_turns(apps, None)
    starts = [Transcription.objects.get(id=row.id).virtual_start for row in rows]
    assert starts == [0, 1, 2, 0, 1]
    assert dict(AccountQueue.objects.values_list("owner", "next_start")) == {alice.pk: 3, bob.pk: 2}
