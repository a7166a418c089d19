"""Fills the database with recordings of many accounts."""

from __future__ import annotations

import json
import random
import time
import uuid
from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module
from itertools import islice
from typing import Any

from benchmarks.library.corpus import Language

SEGMENTS = 50  # of a recording, on average
TYPICAL_RECORDINGS = 100  # of an account
LARGE_SHARE = 0.2  # of all recordings, in one account
LANGUAGE_SHARES = {"en": 0.7, "de": 0.13, "es": 0.07, "ja": 0.06, "zh": 0.04}
SECONDS = 4.0  # of a segment
BATCH = 1000  # recordings that are stored together
# As large as the words of a segment. Their content does not matter here.
WORDS = json.dumps([{"start": n / 4, "end": n / 4 + 0.2, "text": "harbor"} for n in range(14)])
SEGMENT_COLUMNS = '(transcription_id, number, start, "end", text, words)'
# As a trigger does it: corrections count there.
PROGRESS = """INSERT INTO transcriptions_progress (transcription_id)
SELECT id FROM transcriptions_transcription ON CONFLICT DO NOTHING"""
TRIGGERS = ("transcriptions_segment", "transcriptions_transcription")


def fill(recordings: int, languages: dict[str, Language], rng: random.Random) -> dict[str, Any]:
    """Create accounts and recordings unless there are some, index them, and return sizes and times.

    The texts are indexed by the migration that fills the index of an existing installation.
    """
    from django.core.management import call_command
    from django.db import connection

    from transcriptions.models import Segment, Transcription

    call_command("migrate", verbosity=0)
    sizes: dict[str, Any] = {}
    with connection.cursor() as cursor:
        if not Transcription.objects.exists():
            sizes = _create_all(cursor, recordings, languages, rng)
        cursor.execute(PROGRESS)
        cursor.execute("VACUUM ANALYZE")
        sizes |= {
            "recordings": Transcription.objects.count(),
            "segments": Segment.objects.count(),
            "gin_index": _size(cursor, "pg_relation_size('search_keys')"),
            "search_entries_with_indexes": _size(
                cursor, "pg_total_relation_size('transcriptions_searchentry')"
            ),
        }
    print(sizes)
    return sizes


def _create_all(
    cursor: Any, recordings: int, languages: dict[str, Language], rng: random.Random
) -> dict[str, int]:
    """Create all rows without triggers and the index of words, which is created at the end: this is
    faster."""
    migration = import_module("transcriptions.migrations.0021_fill_search_entries").Migration
    for table in TRIGGERS:
        cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    cursor.execute("SELECT pg_get_indexdef('search_keys'::regclass)")
    (index,) = cursor.fetchone()
    cursor.execute("DROP INDEX search_keys")
    times = [time.perf_counter()]
    _create_recordings(recordings, languages, rng)
    times.append(time.perf_counter())
    migration.operations[0].code(None, None)
    times.append(time.perf_counter())
    cursor.execute("SET maintenance_work_mem = '512MB'")
    cursor.execute(index)
    times.append(time.perf_counter())
    for table in TRIGGERS:
        cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
    names = ("seconds_to_create", "seconds_of_migration", "seconds_to_create_the_index")
    return {
        name: round(end - start) for name, start, end in zip(names, times, times[1:], strict=False)
    }


def _size(cursor: Any, function: str) -> str:
    cursor.execute(f"SELECT pg_size_pretty({function})")
    return str(cursor.fetchone()[0])


def _create_recordings(recordings: int, languages: dict[str, Language], rng: random.Random) -> None:
    from django.utils import timezone

    from transcriptions.models import State, Transcription

    now = timezone.now()
    owners = _owners(recordings, rng)
    while batch := list(islice(owners, BATCH)):
        rows, texts = [], []
        for owner_id, code in batch:
            language = languages[code]
            created_at = now - timedelta(seconds=rng.randrange(3 * 365 * 86_400))
            row = Transcription(
                id=uuid.UUID(int=rng.getrandbits(128), version=4),
                owner_id=owner_id,
                title=language.sentences(1, rng)[0][:60].capitalize(),
                state=State.COMPLETED,
                created_at=created_at,
                completed_at=created_at,
                source="recordings/none",
                source_bytes=1_000_000,
                language=code,
                duration=SEGMENTS * SECONDS,
            )
            rows.append(row)
            texts.append(language.sentences(rng.randint(1, 2 * SEGMENTS - 1), rng))
        Transcription.objects.bulk_create(rows)
        _copy_segments(zip(rows, texts, strict=True))


def _owners(recordings: int, rng: random.Random) -> Iterator[tuple[int, str]]:
    """The owner and the language of each recording: the first account is large, and has a few
    recordings in other languages."""
    from accounts.models import User

    large = int(recordings * LARGE_SHARE)
    count = 1 + (recordings - large) // TYPICAL_RECORDINGS
    users = User.objects.bulk_create(User(email=f"user{n}@example.com") for n in range(count))
    codes = ["en", *rng.choices([*LANGUAGE_SHARES], [*LANGUAGE_SHARES.values()], k=count)]
    owners = [0] * large + [1 + n % (count - 1) for n in range(recordings - large)]
    rng.shuffle(owners)  # recordings of many accounts arrive interleaved
    for owner in owners:
        other = rng.choice(["de", "ja"]) if rng.random() < 0.05 else codes[owner]
        yield users[owner].pk, other


def _copy_segments(recordings: Any) -> None:
    from django.db import connection

    copy = f"COPY transcriptions_segment {SEGMENT_COLUMNS} FROM STDIN"
    with connection.cursor() as cursor, cursor.copy(copy) as file:
        for row, texts in recordings:
            for number, text in enumerate(texts, 1):
                start = (number - 1) * SECONDS
                file.write_row((row.id, number, start, start + SECONDS, text, WORDS))
