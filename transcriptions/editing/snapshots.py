"""Segments without their numbers, as JSON, and how they replace others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import connection

from transcriptions.models import Segment, Transcription

Snapshot = dict[str, Any]

FIELDS = (
    "start",
    "end",
    "text",
    "words",
    "language",
    "channel",
    "speaker",
    "paragraph",
    "recognized",
    "decoding",
    "conflict",
)

# Entries are removed and inserted again, so that no two ever have the same number.
RENUMBER_SEARCH_ENTRIES = """
WITH moved AS (
    DELETE FROM transcriptions_searchentry WHERE transcription_id = %s AND number > %s
    RETURNING transcription_id, number, vector
)
INSERT INTO transcriptions_searchentry (transcription_id, number, vector)
SELECT transcription_id, number + %s, vector FROM moved ORDER BY number
"""
RENUMBER_SEGMENTS = """
UPDATE transcriptions_segment SET number = number + %s WHERE transcription_id = %s AND number > %s
"""


def snapshot(segment: Segment) -> Snapshot:
    """All fields of a segment except its number."""
    return {name: getattr(segment, name) for name in FIELDS}


def snapshots(row: Transcription, first: int = 1, last: int | None = None) -> list[Snapshot]:
    """Snapshots of the segments with the numbers `first` to `last`, or of all from `first`."""
    segments = row.segments.filter(number__gte=first)
    if last is not None:
        segments = segments.filter(number__lte=last)
    return list(segments.values(*FIELDS))


def replace(row: Transcription, first: int, count: int, new: Sequence[Snapshot]) -> None:
    """Put `new` segments in the place of `count` present ones from number `first`, and renumber
    those that follow. Triggers update the search index. Must be called with `row` locked."""
    last, moved = first + count - 1, len(new) - count
    row.segments.filter(number__range=(first, last)).delete()
    if moved:
        with connection.cursor() as cursor:
            cursor.execute(RENUMBER_SEARCH_ENTRIES, [row.id, last, moved])
            cursor.execute(RENUMBER_SEGMENTS, [moved, row.id, last])
    _create(row, enumerate(new, first))


def replace_each(row: Transcription, new: Mapping[int, Snapshot]) -> None:
    """Replace the segments with the given numbers. See `replace`."""
    row.segments.filter(number__in=new).delete()
    _create(row, new.items())


def _create(row: Transcription, new: Iterable[tuple[int, Snapshot]]) -> None:
    segments = [Segment(transcription=row, number=number, **fields) for number, fields in new]
    Segment.objects.bulk_create(segments, batch_size=500)
