"""How segments are stored: in one statement, however many there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Min
from psycopg.types.json import Jsonb

from gpu.types import Segment as SpokenSegment
from gpu.types import Word
from transcriptions.exceptions import LeaseLost
from transcriptions.models import Segment, Transcription
from transcriptions.models.segment import main_speaker

TRANSLATED = "en"  # the language into which engines translate
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
INSERT INTO transcriptions_segment (
    transcription_id, number, start, "end", text, words, language, channel, speaker, decoding
)
SELECT held.id, last.number + new.position, new.start, new."end", new.text, new.words,
    new.language, new.channel, new.speaker, new.decoding
FROM held, last, unnest(
    %(starts)s::float8[], %(ends)s::float8[], %(texts)s::text[], %(words)s::jsonb[],
    %(languages)s::text[], %(channels)s::smallint[], %(speakers)s::smallint[],
    %(decodings)s::jsonb[]
) WITH ORDINALITY AS new (
    start, "end", text, words, language, channel, speaker, decoding, position
)
RETURNING number, id
"""


def store_segments(row: Transcription, spoken: Sequence[SpokenSegment]) -> list[Segment]:
    """Store the next segments with the usage of `row`, and renew its lease. Raises LeaseLost."""
    usage, new = row.unsaved_usage, [_unsaved(row, segment) for segment in spoken]
    values: dict[str, Any] = {
        "id": row.id,
        "lease": row.lease,
        "lease_time": timedelta(seconds=settings.LEASE_SECONDS),
        "decode_seconds": usage.decode_seconds,
        "gpu": usage.gpu,
        "queue_seconds": usage.queue_seconds,
        "load_seconds": usage.load_seconds,
        "starts": [segment.start for segment in new],
        "ends": [segment.end for segment in new],
        "texts": [segment.text for segment in new],
        "words": [Jsonb(segment.words) for segment in new],
        "languages": [segment.language for segment in new],
        "channels": [segment.channel for segment in new],
        "speakers": [segment.speaker for segment in new],
        "decodings": [segment.decoding and Jsonb(segment.decoding) for segment in new],
    }
    with connection.cursor() as cursor:
        cursor.execute(STORE_SEGMENTS, values)
        stored = sorted(cursor.fetchall())
    if not stored:
        raise LeaseLost(str(row.id))
    for segment, (number, segment_id) in zip(new, stored, strict=True):
        segment.number, segment.id = number, segment_id
    return new


def _unsaved(row: Transcription, spoken: SpokenSegment) -> Segment:
    words = [stored_word(word) for word in spoken.words]
    return Segment(
        transcription=row,
        start=spoken.start,
        end=spoken.end,
        text=spoken.text,
        words=words,
        language=TRANSLATED if row.options.is_translation else spoken.language or row.language,
        channel=spoken.channel,
        speaker=main_speaker(words),
        decoding=asdict(spoken.decoding) if spoken.decoding else None,
    )


def stored_word(word: Word) -> dict[str, Any]:
    """The word as JSON, without what is not known."""
    optional = {
        "no_space_before": word.no_space_before or None,
        "probability": word.probability,
        "channel": word.channel,
        "speaker": word.speaker,
        "overlap": word.overlap or None,
    }
    known = {name: value for name, value in optional.items() if value is not None}
    return {"start": word.start, "end": word.end, "text": word.text, **known}


def spoken_languages(row: Transcription) -> list[str]:
    """The languages of the stored segments, in the order in which they were first spoken."""
    spoken = row.segments.exclude(language="").values("language")
    first = spoken.annotate(first=Min("number")).order_by("first")
    return list(first.values_list("language", flat=True))
