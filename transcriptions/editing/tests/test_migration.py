"""Words that an earlier release stored."""

from __future__ import annotations

import importlib

from django.db import connection

from transcriptions.models import Segment, Transcription

WORDS = [
    {"start": 1.0, "end": 1.5, "text": "你"},
    {"start": 1.5, "end": 2.0, "text": '"glued": true', "glued": True},
]


def test_stored_words_get_the_new_key_and_back(finished: Transcription) -> None:
    migration = importlib.import_module("transcriptions.migrations.0011_no_space_before")
    (rename,) = migration.Migration.operations
    Segment.objects.create(transcription=finished, number=99, start=1, end=2, text="", words=WORDS)
    for sql, key in ((rename.sql, "no_space_before"), (rename.reverse_sql, "glued")):
        with connection.cursor() as cursor:
            cursor.execute(sql)
        words = finished.segments.get(number=99).words
        assert words[0] == WORDS[0]
        assert words[1] == {"start": 1.5, "end": 2.0, "text": '"glued": true', key: True}
