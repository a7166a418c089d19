"""Places in the queue of all recordings on a page."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate

from django.contrib.postgres.fields import ArrayField
from django.db.models import Count, FloatField, Func, IntegerField, Value

from transcriptions.models.state import WAITING
from transcriptions.models.transcription import Transcription


class _WidthBucket(Func):
    """How many of the thresholds (an ascending array) are less than or equal to the value."""

    function, output_field = "width_bucket", IntegerField()


def set_queue_positions(rows: Sequence[Transcription]) -> None:
    """Read `queue_position` of all these rows, with one query for each priority among those that
    wait: most pages need none."""
    waiting = [row for row in rows if row.state in WAITING and not row.is_live]
    for priority in {row.priority for row in waiting}:
        _set_positions([row for row in waiting if row.priority == priority])


def _set_positions(rows: Sequence[Transcription]) -> None:
    """For waiting rows of one priority: counts the rows between each of them and the next."""
    starts = sorted({row.virtual_start for row in rows})
    last = max(rows, key=lambda row: row.virtual_start)
    thresholds = Value(starts, output_field=ArrayField(FloatField()))
    buckets = (
        Transcription.objects.before(last)
        .order_by()
        .values("priority", bucket=_WidthBucket("virtual_start", thresholds))
    )
    counts: Counter[int] = Counter()
    for found in buckets.annotate(rows=Count("pk")):
        is_same = found["priority"] == last.priority
        counts[found["bucket"] if is_same else 0] += found["rows"]
    before = list(accumulate(counts[bucket] for bucket in range(len(starts))))
    for row in rows:
        row.known_position = before[bisect_left(starts, row.virtual_start)] + 1
