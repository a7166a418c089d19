"""The index of words finds the same entries as a comparison with every entry."""

from __future__ import annotations

import random
import re
import uuid
from functools import reduce
from operator import or_

import pytest
from django.db import connection

from accounts.models import User
from transcriptions.indexing import search as indexing
from transcriptions.indexing.search import NO_ROWS, parse
from transcriptions.models import Segment, Transcription

WORDS = """
the a to be or not is it and of ship ships walking harbor whale state-of-the-art 3.14 e.g.
user@example.com https://example.com/a?b=c don't O'Neill \\n 'quoted' der die das und ist nicht
Haus Häuser schön 東京 港まで 会 の 天気 ท่าเรือ
"""
LANGUAGES = ("en", "en", "de", "ja", "", "xx")


def text(rng: random.Random, longest: int) -> str:
    return " ".join(rng.choices(WORDS.split(), k=rng.randint(1, longest)))


def query(rng: random.Random) -> str:
    """Words, phrases and excluded terms, some of them alternatives."""
    terms = []
    for _ in range(rng.randint(1, 4)):
        term = text(rng, 3)
        terms.append(rng.choice(["", "", "-"]) + rng.choice([term, f'"{term}"']))
        terms += rng.choices([[], ["or"]], [4, 1])[0]
    return " ".join(terms)


def search(owner: User, query: str, *, by_index: bool) -> set[uuid.UUID]:
    rows = Transcription.objects.filter(owner=owner)
    parsed = parse(rows, query)
    matching = rows.filter(reduce(or_, parsed.conditions(), NO_ROWS))
    if by_index:
        matching = matching.filter(reduce(or_, parsed.candidates(), NO_ROWS))
    return set(matching.values_list("id", flat=True))


def recording(owner: User, title: str, *texts: str, language: str = "en") -> Transcription:
    row = Transcription.objects.create(owner=owner, title=title, language=language, source_bytes=1)
    Segment.objects.bulk_create(
        Segment(transcription=row, number=number, start=number, end=number + 1, text=text)
        for number, text in enumerate(texts, 1)
    )
    return row


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "few_entries"), [(1, indexing.FEW_ENTRIES), (2, 2)])
def test_index_finds_what_a_scan_finds(
    alice: User, bob: User, monkeypatch: pytest.MonkeyPatch, seed: int, few_entries: int
) -> None:
    monkeypatch.setattr(indexing, "FEW_ENTRIES", few_entries)
    rng = random.Random(seed)
    for number in range(40):
        texts = (text(rng, 6) for _ in range(3))
        owner = (alice, bob)[number % 2]
        recording(owner, text(rng, 3), *texts, language=rng.choice(LANGUAGES))
    found = 0
    for words in (query(rng) for _ in range(60)):
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
    rows = {word: recording(alice, word) for word in (first, second)}
    library = Transcription.objects.filter(owner=alice)
    keys = {parse(library, word).alternatives[0].forms()[0][0][0].keys for word in rows}
    assert len(keys) == 1
    assert search(alice, first, by_index=True) == {rows[first].id}


def test_phrase_of_stop_words_is_found_without_other_entries_that_have_them(alice: User) -> None:
    found = recording(alice, "Question", "Is it a whale?")
    recording(alice, "Answer", *["A whale it is.", "It is a whale.", "A ship is it."] * 100)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE transcriptions_searchentry")
        cursor.execute("SET LOCAL enable_seqscan = off")
    rows = Transcription.objects.filter(owner=alice)
    plan = rows.filter(*parse(rows, '"is it a"').candidates()).explain(analyze=True)
    assert re.search(r"Bitmap Index Scan on search_keys .*actual .*rows=1(\.0+)? ", plan), plan
    assert search(alice, '"is it a"', by_index=True) == {found.id}
