"""Which recording is worked on next.

A message in the queue only says that there is work. A worker that has a free thread chooses:

- Accounts take turns: the account whose last turn is the longest ago is next, with its oldest
  recording. At most JOBS_PER_ACCOUNT of an account are worked on at a time, so that one account
  cannot occupy all threads for hours.
- A recording whose work was interrupted SUSPECT_AFTER times without progress may be what kills the
  workers. Such suspects are worked on one at a time. So the culprit is alone when it kills the
  worker again and is given up, and recordings that merely ran beside it complete.

Choosing and claiming are one step in all workers together, so that both limits hold.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Final

from celery import current_app
from django.conf import settings
from django.db import connection, models, transaction
from django.db.models import Count, F, OuterRef, Subquery

from accounts.models import User
from transcriptions import queue
from transcriptions.models import State, Transcription
from transcriptions.processing import lifecycle
from transcriptions.processing.lifecycle import WAITING_STATE

SUSPECT_AFTER = 2  # interruptions without progress
CLAIM_LOCK: Final = 0x7472616E  # the key of an advisory lock of Postgres: any constant

TASKS = {
    State.PREPROCESSING: "transcriptions.tasks.preprocess",
    State.TRANSCRIBING: "transcriptions.tasks.transcribe",
}


def claim_next(state: State, worker: str = "") -> Transcription | None:
    """Claim the next row for the work of `state`. None if there is nothing to do now."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [CLAIM_LOCK])
        chosen = _choose(state)
        return lifecycle.claim(chosen, state, worker) if chosen else None


def enqueue_next(most: int = 1) -> None:
    """Enqueue up to `most` messages for each kind of work that could start now."""
    for state, task in TASKS.items():
        for _ in range(_claimable(state)[:most].count()):
            if not queue.enqueue(current_app.signature(task)):
                return


def _claimable(state: State) -> models.QuerySet[Transcription]:
    """The waiting rows that the limits allow to be claimed for the work of `state`."""
    due = Transcription.objects.due(WAITING_STATE[state])
    working = Transcription.objects.with_live_lease()
    jobs = working.values("owner").annotate(jobs=Count("id"))
    busy = jobs.filter(jobs__gte=settings.JOBS_PER_ACCOUNT).values("owner")
    due = due.exclude(owner__in=busy)
    if working.filter(interruptions__gte=SUSPECT_AFTER).exists():
        due = due.filter(interruptions__lt=SUSPECT_AFTER)
    return due


def _choose(state: State) -> uuid.UUID | None:
    oldest_first = _claimable(state).order_by("owner", "created_at", "id")
    oldest = dict(oldest_first.distinct("owner").values_list("owner_id", "id"))
    return oldest[_longest_without_turn(oldest)] if oldest else None


def _longest_without_turn(owner_ids: Iterable[int]) -> int:
    claimed = Transcription.objects.filter(owner=OuterRef("pk"), claimed_at__isnull=False)
    last_turn = Subquery(claimed.order_by("-claimed_at").values("claimed_at")[:1])
    accounts = User.objects.filter(pk__in=owner_ids).annotate(last_turn=last_turn)
    return accounts.order_by(F("last_turn").asc(nulls_first=True), "pk")[0].pk
