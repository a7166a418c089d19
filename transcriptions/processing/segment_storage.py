"""How segments are stored: in one statement, however many there are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from psycopg.types.json import Jsonb

from gpu.types import Segment as SpokenSegment
from transcriptions.exceptions import LeaseLost
from transcriptions.models import Segment, Transcription

# One round trip, where BEGIN, UPDATE, INSERT and COMMIT would be four. The recording is locked
# first: nobody can take the lease away before the segments are committed, so every segment of a
# cancelled recording is charged, and is in its last event's count.
STORE_SEGMENTS = """
WITH held AS (
    SELECT id FROM transcriptions_transcription
    WHERE id = %(id)s AND lease = %(lease)s
    FOR NO KEY UPDATE
), progress AS (
    UPDATE transcriptions_progress SET
        lease_until = statement_timestamp() + %(lease_time)s,
        unbilled_decode_seconds = unbilled_decode_seconds + %(decode_seconds)s,
        unbilled_gpu = coalesce(nullif(%(gpu)s, ''), unbilled_gpu),
        unbilled_queue_seconds = unbilled_queue_seconds + %(queue_seconds)s,
        unbilled_load_seconds = unbilled_load_seconds + %(load_seconds)s
    FROM held WHERE transcription_id = held.id
), last AS (
    SELECT coalesce(max(number), 0) AS number FROM transcriptions_segment
    WHERE transcription_id = %(id)s
)
INSERT INTO transcriptions_segment (transcription_id, number, start, "end", text, words)
SELECT held.id, last.number + new.position, new.start, new."end", new.text, new.words
FROM held, last, unnest(
    %(starts)s::float8[], %(ends)s::float8[], %(texts)s::text[], %(words)s::jsonb[]
) WITH ORDINALITY AS new (start, "end", text, words, position)
RETURNING number, id
"""


def store_segments(row: Transcription, spoken: Sequence[SpokenSegment]) -> list[Segment]:
    """Store the next segments with the usage of `row`, and renew its lease. Raises LeaseLost."""
    usage, words = row.unsaved_usage, [_stored_words(segment) for segment in spoken]
    values: dict[str, Any] = {
        "id": row.id,
        "lease": row.lease,
        "lease_time": timedelta(seconds=settings.LEASE_SECONDS),
        "decode_seconds": usage.decode_seconds,
        "gpu": usage.gpu,
        "queue_seconds": usage.queue_seconds,
        "load_seconds": usage.load_seconds,
        "starts": [segment.start for segment in spoken],
        "ends": [segment.end for segment in spoken],
        "texts": [segment.text for segment in spoken],
        "words": [Jsonb(each) for each in words],
    }
    with connection.cursor() as cursor:
        cursor.execute(STORE_SEGMENTS, values)
        stored = sorted(cursor.fetchall())
    if not stored:
        raise LeaseLost(str(row.id))
    return [
        Segment(
            id=segment_id,
            transcription=row,
            number=number,
            start=segment.start,
            end=segment.end,
            text=segment.text,
            words=its_words,
        )
        for (number, segment_id), segment, its_words in zip(stored, spoken, words, strict=True)
    ]


def _stored_words(spoken: SpokenSegment) -> list[dict[str, Any]]:
    return [
        {"start": word.start, "end": word.end, "text": word.text}
        | ({"no_space_before": True} if word.no_space_before else {})
        for word in spoken.words
    ]
