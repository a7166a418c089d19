"""The index of words: it finds what a comparison with every entry finds."""

from __future__ import annotations

import random
import uuid
from functools import reduce
from operator import or_

import pytest
from django.db import connection

from accounts.models import User
from transcriptions.indexing.search import NO_ROWS, parse
from transcriptions.models import Segment, Transcription

WORDS = [
    *("the a to be or not is it and of ship ships walking harbor whale state-of-the-art".split()),
    *("3.14 e.g. user@example.com https://example.com/a?b=c don't O'Neill \\n 'quoted'".split()),
    *("der die das und ist nicht Haus Häuser schön 東京 港まで 会 の 天気 ท่าเรือ".split()),
]
LANGUAGES = ("en", "en", "de", "ja", "", "xx")


def text(rng: random.Random, longest: int) -> str:
    return " ".join(rng.choices(WORDS, k=rng.randint(1, longest)))


def query(rng: random.Random) -> str:
    """Words, phrases and excluded terms, some of them alternatives."""
    terms = []
    for _ in range(rng.randint(1, 4)):
        term = text(rng, 3).replace('"', "")
        terms.append(rng.choice(["", "", "-"]) + rng.choice([term, f'"{term}"']))
        terms += rng.choices([[], ["or"]], [4, 1])[0]
    return " ".join(terms)


def search(owner: User, query: str, *, by_index: bool) -> set[uuid.UUID]:
    rows = Transcription.objects.filter(owner=owner)
    conditions = parse(rows, query).conditions(by_index=by_index)
    return set(rows.filter(reduce(or_, conditions, NO_ROWS)).values_list("id", flat=True))


@pytest.mark.parametrize("seed", range(3))
def test_index_finds_what_a_scan_finds(alice: User, bob: User, seed: int) -> None:
    rng = random.Random(seed)
    for number in range(60):
        row = Transcription.objects.create(
            owner=(alice, bob)[number % 2],
            title=text(rng, 3),
            language=rng.choice(LANGUAGES),
            source_bytes=1,
        )
        Segment.objects.bulk_create(
            Segment(transcription=row, number=n, start=n, end=n + 1, text=text(rng, 6))
            for n in range(1, 4)
        )
    found = 0
    for _ in range(100):
        words = query(rng)
        expected = search(alice, words, by_index=False)
        assert search(alice, words, by_index=True) == expected, words
        found += len(expected)
    assert found


def test_words_with_the_same_key_are_told_apart(alice: User) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT array_agg(word) FROM generate_series(1, 300000) n,"
            " LATERAL (SELECT 'word' || n || 'x' AS word) words"
            " GROUP BY hashtext(%s || ' ' || word) HAVING count(*) > 1 LIMIT 1",
            [f"{alice.pk} english"],
        )
        ((first, second),) = [row[0] for row in cursor.fetchall()]
    for word in (first, second):
        Transcription.objects.create(owner=alice, title=word, language="en", source_bytes=1)
    rows = Transcription.objects.filter(owner=alice)
    keys = [parse(rows, word).alternatives[0].forms()[0][0][0].keys for word in (first, second)]
    assert keys[0] == keys[1]
    found = search(alice, first, by_index=True)
    assert found == {rows.get(title=first).id}
