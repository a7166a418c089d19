"""Metrics from the database: every process reports the same values, so Prometheus must take their
maximum over the processes, not their sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from django.db.models import Count, Min, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from accounts.models import OutgoingEmail, UsageDay
from accounts.usage.consistency import wrong_days
from transcriptions.models import FINISHED, LiveSession, Priority, State, Step, Transcription
from transcriptions.webhooks.models import Delivery

MAX_SAMPLED = 1000  # waiting recordings among which the oldest is searched
RECORDINGS = (Priority.INTERACTIVE, Priority.BATCH)
# State and priorities by the name of the queue.
WAITING = {
    "preprocess": (State.QUEUED, RECORDINGS),
    "transcribe": (State.PREPARED, RECORDINGS),
    "live": (State.PREPARED, (Priority.LIVE,)),
}
CHECKED_DAYS = 2  # of the ledger: today and yesterday


def current() -> list[Metric]:
    """Metrics that must be up to date: queues, work in progress, today's cost. All queries use
    indexes of unfinished work, or of a day."""
    return [*_unfinished(), _live(), *_queues(), *_today()]


def totals() -> list[Metric]:
    """Metrics that need all rows and change slowly: finished recordings, storage, the ledger."""
    return [*_stored(), _ledger()]


def _queue_families(depths: dict[str, int], ages: dict[str, float]) -> list[Metric]:
    """Length and age of queues by name."""
    depth = GaugeMetricFamily(
        "transcodio_queue_depth", "Work that could start now.", labels=["queue"]
    )
    age = GaugeMetricFamily(
        "transcodio_queue_age_seconds",
        "How long the oldest work that could start now has been waiting; 0: none is waiting.",
        labels=["queue"],
    )
    for family, values in ((depth, depths), (age, ages)):
        for queue, value in values.items():
            family.add_metric([queue], value)
    return [depth, age]


def _unfinished() -> Iterator[Metric]:
    rows = Transcription.objects.exclude(state__in=FINISHED).order_by().values_list("state")
    counts = dict(rows.annotate(Count("id")))
    yield _by_state((state, counts.get(state, 0)) for state in State if state not in FINISHED)
    yield GaugeMetricFamily(
        "transcodio_expired_leases",
        "Recordings whose worker has died or hangs, and that no other worker has taken over.",
        Transcription.objects.with_expired_lease().count(),
    )


def _by_state(counts: Iterable[tuple[str, int]], finished: bool = False) -> Metric:
    name = "transcodio_finished_jobs" if finished else "transcodio_jobs"
    meaning = "Finished" if finished else "Unfinished"
    family = GaugeMetricFamily(name, f"{meaning} recordings by state.", labels=["state"])
    for state, count in counts:
        family.add_metric([str(state)], count)
    return family


def _live() -> Metric:
    sessions = LiveSession.objects.filter(ended_at=None)
    counts = sessions.aggregate(open=Count("pk"), paused=Count("pk", filter=~Q(parked_at=None)))
    family = GaugeMetricFamily(
        "transcodio_live_sessions", "Live sessions that have not ended.", labels=["state"]
    )
    family.add_metric(["active"], counts["open"] - counts["paused"])
    family.add_metric(["paused"], counts["paused"])
    return family


def _queues() -> list[Metric]:
    depths, ages = dict[str, int](), dict[str, float]()
    for queue, (state, priorities) in WAITING.items():
        waiting = Transcription.objects.due(state).filter(priority__in=priorities)
        depths[queue] = waiting.count()
        ages[queue] = _seconds_since(_oldest(waiting))
    due = Delivery.objects.due().order_by().aggregate(Count("id"), Min("next_attempt_at"))
    depths["webhooks"] = due["id__count"]
    ages["webhooks"] = _seconds_since(due["next_attempt_at__min"])
    emails = OutgoingEmail.objects.aggregate(Count("id"), Min("created_at"))  # being retried too
    depths["mail"], ages["mail"] = emails["id__count"], _seconds_since(emails["created_at__min"])
    return _queue_families(depths, ages)


def _oldest(waiting: QuerySet[Transcription]) -> datetime | None:
    """When the first of these recordings began to wait: at its last step, or when its delay
    ended."""
    steps = Step.objects.filter(transcription=OuterRef("pk")).order_by("-id")
    last_step = Coalesce(Subquery(steps.values("started_at")[:1]), "created_at")
    waiting = waiting.annotate(
        since=Greatest(last_step, "progress__lease_until")  # of Postgres: NULL is ignored
    )
    oldest: datetime | None = waiting.order_by("created_at")[:MAX_SAMPLED].aggregate(
        oldest=Min("since")
    )["oldest"]
    return oldest


def _seconds_since(moment: datetime | None) -> float:
    return max(0.0, (timezone.now() - moment).total_seconds()) if moment else 0.0


def _today() -> Iterator[Metric]:
    rows = UsageDay.objects.filter(day=datetime.now(UTC).date()).order_by().values_list("engine")
    cost = GaugeMetricFamily(
        "transcodio_cost_today_usd", "Cost of GPUs since midnight UTC.", labels=["engine"]
    )
    audio = GaugeMetricFamily(
        "transcodio_billed_audio_today_seconds",
        "Audio that was charged since midnight UTC.",
        labels=["engine"],
    )
    for engine, micro_usd, milliseconds in rows.annotate(Sum("cost_micro_usd"), Sum("billed_ms")):
        cost.add_metric([engine], micro_usd / 1e6)
        audio.add_metric([engine], milliseconds / 1000)
    return iter((cost, audio))


def _stored() -> Iterator[Metric]:
    rows = Transcription.objects.order_by().values_list("state")
    sums = rows.annotate(count=Count("id"), size=Sum("source_bytes", filter=~Q(source="")))
    counts, size = dict[str, int](), 0
    for state, count, source_bytes in sums:
        counts[state] = count
        size += source_bytes or 0
    yield _by_state(((state, counts.get(state, 0)) for state in FINISHED), finished=True)
    yield GaugeMetricFamily("transcodio_stored_bytes", "Size of all uploads that are kept.", size)


def _ledger() -> Metric:
    since = datetime.now(UTC).date() - timedelta(days=CHECKED_DAYS - 1)
    return GaugeMetricFamily(
        "transcodio_ledger_differences",
        "Daily sums of today and yesterday that differ from the ledger.",
        wrong_days(since),
    )
