"""Turns of accounts: start-time fair queuing (Goyal, Vin and Cheng, 1996).

Each recording gets a virtual start when it is queued, and waiting recordings with the same priority
are worked on in that order. The virtual starts of an account are 1 / weight of its plan apart.
Those of an account with nothing else to do begin at the virtual time, the latest virtual start that
a worker has claimed. So accounts share the workers in proportion to their weights, none waits for
more than a few turns of each of the others, and the next recording is the first one of an index,
however many wait.
"""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import Case, F, Value, When
from django.db.models.functions import Greatest

from transcriptions.models import AccountQueue, PriorityQueue, State, Transcription

# While recordings of a higher priority wait, one claim of this many is for a lower one.
CLAIMS_PER_TURN_OF_LOWER_PRIORITY = 10


def assign_virtual_start(row: Transcription) -> None:
    """Give a row that is queued its place. Must be called in a transaction that has locked the
    account."""
    queue, _ = AccountQueue.objects.get_or_create(owner=row.owner, priority=row.priority)
    row.virtual_start = max(queue.next_start, _virtual_time(row.priority))
    queue.next_start = row.virtual_start + 1 / row.owner.effective_plan.queue_weight
    queue.save(update_fields=["next_start"])
    row.save(update_fields=["virtual_start"])


def _virtual_time(priority: int) -> float:
    """That of speech recognition, which decides how long recordings wait. Their preparation runs
    ahead of it; its time counts if recognition keeps up."""
    queues = PriorityQueue.objects.filter(priority=priority)
    times = dict(queues.values_list("state", "virtual_time"))
    if Transcription.objects.filter(state=State.PREPARED, priority=priority).exists():
        return times.get(State.PREPARED, 0.0)
    return max(times.values(), default=0.0)


def choose_priority(state: State, waiting: Collection[int]) -> int:
    """The priority whose turn it is, of those with recordings that wait in `state`."""
    if len(waiting) == 1:
        return min(waiting)
    limit = CLAIMS_PER_TURN_OF_LOWER_PRIORITY - 1
    overdue = PriorityQueue.objects.filter(
        state=state, priority__in=waiting, passed_over__gte=limit
    )
    return min(overdue.values_list("priority", flat=True), default=min(waiting))


def record_turn(row: Transcription, waiting: Collection[int]) -> None:
    """A worker claims `row`, while recordings of the priorities `waiting` could be claimed. Must be
    called under the lock of all claims."""
    queues = PriorityQueue.objects.filter(state=row.state, priority__in=waiting)
    updated = queues.update(
        passed_over=Case(When(priority=row.priority, then=Value(0)), default=F("passed_over") + 1),
        virtual_time=Case(
            When(priority=row.priority, then=Greatest("virtual_time", Value(row.virtual_start))),
            default=F("virtual_time"),
        ),
    )
    if updated < len(waiting):
        new = [PriorityQueue(state=row.state, priority=priority) for priority in waiting]
        PriorityQueue.objects.bulk_create(new, ignore_conflicts=True)
        record_turn(row, waiting)
