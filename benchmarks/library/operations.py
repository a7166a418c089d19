"""The measured requests of one account, and the plans of its queries."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import QuerySet
from django.test import Client

from accounts.models import User
from accounts.tokens import issue_token
from benchmarks.library.corpus import Language
from transcriptions.indexing.search import parse
from transcriptions.library.pagination import SEARCHED_FIRST
from transcriptions.models import Segment, Transcription

VARIANTS = 20  # words of each kind
FIRST_CONTENT_WORD = 60  # by frequency; more frequent words are mostly stop words
Operations = dict[str, list[Callable[[], None]]]


class Account:
    """An account of the benchmark with its clients."""

    def __init__(self, number: int, languages: dict[str, Language], rng: random.Random) -> None:
        self.user = User.objects.get(email=f"user{number}@example.com")
        self.rows = Transcription.objects.filter(owner=self.user)
        self.recordings = self.rows.count()
        languages_of_rows = Counter(self.rows.values_list("language", flat=True))
        language = languages_of_rows.most_common(1)[0][0]
        self.words = (languages[language] if language in "en de es" else languages["en"]).words
        self.rng, self.unspaced, self.german = rng, languages["ja"].words, languages["de"].words
        self.page = Client(HTTP_HOST="127.0.0.1")
        self.page.force_login(self.user)
        token = issue_token(self.user, "Benchmark")[1]
        self.api = Client(HTTP_HOST="127.0.0.1", HTTP_AUTHORIZATION=f"Bearer {token}")

    def word(self, first: int, last: int) -> str:
        """A word with a rank from `first` to `last`."""
        return self.words[self.rng.randint(first, min(last, len(self.words) - 1))]

    def phrase(self, length: int) -> str:
        """Consecutive words from one of the segments."""
        row = self.rng.choice(self.rows.filter(language__in=("en", "de", "es"))[:500])
        words = self.rng.choice(row.segments.all()).text.rstrip(".").split()
        start = self.rng.randint(0, len(words) - length)
        return " ".join(words[start : start + length])


def operations(account: Account) -> Operations:
    """Each measurement with its variants."""
    return {**_lists(account), **_searches(account), **_corrections(account)}


def _lists(account: Account) -> Operations:
    newest = list(account.rows.order_by("-created_at", "-id")[:VARIANTS])
    cursors = _cursors(account)
    return {
        "library page": [_get(account.page, "/")],
        "library page 5": [_get(account.page, "/", page=5)],
        "API list": [_get(account.api, "/api/transcriptions")],
        "API list with a cursor": [
            _get(account.api, "/api/transcriptions", cursor=cursor) for cursor in cursors
        ],
        "open a transcript": [_get(account.page, f"/transcriptions/{row.id}/") for row in newest],
        "transcript over the API": [
            _get(account.api, f"/api/transcriptions/{row.id}") for row in newest
        ],
    }


def _cursors(account: Account) -> list[str]:
    cursors = [""]
    while len(cursors) < VARIANTS:
        page = account.api.get("/api/transcriptions", {"cursor": cursors[-1], "limit": "4"}).json()
        if not page["next_cursor"]:
            break
        cursors.append(page["next_cursor"])
    return cursors[1:]


def _queries(account: Account) -> dict[str, Callable[[], str]]:
    def common() -> str:
        return account.word(FIRST_CONTENT_WORD, 200)

    def medium() -> str:
        return account.word(1000, 5000)

    def rare() -> str:
        return account.word(20_000, 29_000)

    def stop_words(words: list[str]) -> str:
        return f'"{" ".join(account.rng.sample(words[:20], 3))}"'

    def characters(count: int, first: int = 30) -> str:
        ranks = (account.rng.randint(first, 2000) for _ in range(count))
        return "".join(account.unspaced[rank] for rank in ranks)

    return {
        "a common word": common,
        "a less common word": medium,
        "a rare word": rare,
        "two common words": lambda: f"{common()} {common()}",
        "a common and a rare word": lambda: f"{common()} {rare()}",
        "five words": lambda: " ".join([common(), common(), medium(), medium(), medium()]),
        "a phrase": lambda: f'"{account.phrase(3)}"',
        "a phrase of two common words": lambda: f'"{common()} {common()}"',
        "a phrase of stop words": lambda: stop_words(account.words),
        "a phrase of stop words of another language": lambda: stop_words(account.german),
        "stop words": lambda: "to be or not to be",
        "two stop words": lambda: "the and",
        "excluded words": lambda: f"{common()} -{common()} -{medium()}",
        "only an excluded word": lambda: f"-{common()}",
        "common words, or": lambda: f"{common()} or {common()}",
        "several words, or": lambda: f"{common()} {medium()} or {rare()} {medium()}",
        "CJK, two words": lambda: characters(2),
        "CJK, one character": lambda: account.rng.choice(account.unspaced[30:200])[0],
        "CJK, a frequent character": lambda: account.unspaced[0],
        "20 excluded CJK characters": lambda: " ".join(f"-{characters(1)[0]}" for _ in range(20)),
        "no hit": lambda: f"zzqx{account.rng.randint(0, 9999)}",
    }


def _searches(account: Account) -> Operations:
    return {
        f"search: {what}": [_get(account.page, "/", q=query()) for _ in range(VARIANTS)]
        for what, query in _queries(account).items()
    } | {
        "search over the API: a common word": [
            _get(account.api, "/api/transcriptions", q=account.word(FIRST_CONTENT_WORD, 200))
            for _ in range(VARIANTS)
        ]
    }


def _corrections(account: Account) -> Operations:
    """Correct a segment, and find the new words."""
    segments = Segment.objects.filter(transcription__in=account.rows[:VARIANTS], number=1)

    def correct(segment: Segment) -> Callable[[], None]:
        def patch() -> None:
            path = f"/api/transcriptions/{segment.transcription_id}/segments/1"
            text = f"{segment.text} corrected{account.rng.randint(0, 10**9)}"
            response = account.api.patch(path, json.dumps({"text": text}), "application/json")
            _check(response)

        return patch

    return {
        "correct a segment": [correct(segment) for segment in segments],
        "search after corrections": [
            _get(account.page, "/", q=account.word(20_000, 29_000)) for _ in range(VARIANTS)
        ],
    }


def _get(client: Client, path: str, **query: Any) -> Callable[[], None]:
    return lambda: _check(client.get(path, query))


def _check(response: Any) -> None:
    if response.status_code != 200:
        raise RuntimeError(f"{response.status_code}: {response.content[:500]!r}")


def plans(account: Account) -> str:
    """EXPLAIN ANALYZE of the first page of the list, and of both queries of each kind of search."""
    rows = account.rows.order_by("-created_at", "-id")
    chapters: list[tuple[str, QuerySet[Transcription, Any]]] = [("list", rows[:21])]
    for what, query in _queries(account).items():
        text = query()
        search = parse(rows, text)
        recent = rows.filter(id__in=rows.values("id")[:SEARCHED_FIRST])
        found = recent.filter(reduce(or_, search.conditions()))[:21]
        chapters.append((f"{what}, newest rows: {text}", found))
        for condition in search.candidates():
            matching = rows.order_by().filter(condition).values("id")
            chapters.append((f"{what}, all rows: {text}", matching))
    return "\n\n".join(
        f"## {name}\n{queried.explain(analyze=True, buffers=True)}" for name, queried in chapters
    )
