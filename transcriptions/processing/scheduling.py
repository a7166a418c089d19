"""Which recording is worked on next.

A message in the queue only says that there is work. A worker that has a free thread chooses:

- Accounts take turns, in proportion to the weights of their plans: see `turns`. Interactive
  recordings go before batch, which gets one turn of ten nevertheless.
- At most JOBS_PER_ACCOUNT recordings of an account are worked on at a time, so that one account
  cannot occupy all threads for hours.
- A recording whose work was interrupted SUSPECT_AFTER times without progress may be what kills the
  workers. Such suspects are worked on one at a time. So the culprit is alone when it kills the
  worker again and is given up, and recordings that merely ran at the same time complete.

Choosing and claiming are one step in all workers together, so that both limits hold.
"""

from __future__ import annotations

import uuid
from collections import Counter
from typing import Final

from celery import current_app
from django.conf import settings
from django.db import connection, models, transaction

from transcriptions import queue
from transcriptions.models import Priority, State, Transcription
from transcriptions.models.transcription import QUEUE_ORDER
from transcriptions.processing import lifecycle, turns
from transcriptions.processing.lifecycle import WAITING_STATE

SUSPECT_AFTER = 2  # interruptions without progress
PRIORITIES = (Priority.INTERACTIVE, Priority.BATCH)  # live recordings have workers of their own
CLAIM_LOCK: Final = 0x7472616E  # the key of an advisory lock of Postgres: any constant

TASKS = {
    State.PREPROCESSING: "transcriptions.tasks.preprocess",
    State.TRANSCRIBING: "transcriptions.tasks.transcribe",
}
LIVE_TASK = "transcriptions.tasks.listen"
MAX_LIVE_ENQUEUED = 50


def claim_next(state: State, worker: str = "") -> Transcription | None:
    """Claim the next row for the work of `state`. None if there is nothing to do now."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [CLAIM_LOCK])
        first = {row.priority: row for row in _first_of_each_priority(state)}
        if not first:
            return None
        chosen = first[turns.choose_priority(WAITING_STATE[state], first)]
        turns.record_turn(chosen, first)
        return lifecycle.claim(chosen.id, state, worker)


def enqueue_next() -> None:
    """Enqueue a message for each kind of work that could start now."""
    for state in TASKS:
        _enqueue(state, 1)


def enqueue_live(transcription_id: uuid.UUID) -> None:
    """Enqueue a message for a live session that has something to do."""
    queue.enqueue(current_app.signature(LIVE_TASK), transcription_id)


def replace_lost_messages() -> None:
    """Enqueue messages for work that could start now, until as many wait as a worker has threads.
    While all workers are busy, their number does not grow."""
    live = Transcription.objects.due(State.PREPARED).filter(priority=Priority.LIVE)
    for waiting in live.values_list("id", flat=True)[:MAX_LIVE_ENQUEUED]:
        if queue.pending(settings.CELERY_TASK_ROUTES[LIVE_TASK]["queue"]) < MAX_LIVE_ENQUEUED:
            enqueue_live(waiting)
    for state, task in TASKS.items():
        pending = queue.pending(settings.CELERY_TASK_ROUTES[task]["queue"])
        _enqueue(state, settings.CELERY_WORKER_CONCURRENCY - pending)


def _enqueue(state: State, most: int) -> None:
    for _ in range(_claimable(state)[: max(0, most)].count()):
        if not queue.enqueue(current_app.signature(TASKS[state])):
            return


def _claimable(state: State) -> models.QuerySet[Transcription]:
    """The waiting rows that the limits allow to be claimed for the work of `state`, in the order of
    their turns: so the first ones are found in an index, even if only their number is asked."""
    working = _recordings(Transcription.objects.with_live_lease())
    working = working.only("owner_id", "interruptions")
    jobs = Counter(row.owner_id for row in working)
    busy = [owner_id for owner_id, count in jobs.items() if count >= settings.JOBS_PER_ACCOUNT]
    due = _recordings(Transcription.objects.due(WAITING_STATE[state])).exclude(owner__in=busy)
    if any(row.interruptions >= SUSPECT_AFTER for row in working):
        due = due.filter(interruptions__lt=SUSPECT_AFTER)
    return due.order_by(*QUEUE_ORDER)


def _recordings(rows: models.QuerySet[Transcription]) -> models.QuerySet[Transcription]:
    return rows.filter(priority__in=PRIORITIES)


def _first_of_each_priority(state: State) -> models.QuerySet[Transcription]:
    """The row of each priority whose turn comes first."""
    in_order = _claimable(state).only("id", "state", "priority", "virtual_start")
    first, *others = (in_order.filter(priority=priority)[:1] for priority in PRIORITIES)
    return first.union(*others, all=True)
