"""Search over the documents. They are few and in memory: every section is looked at."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

MAX_QUERY = 100  # characters
MAX_TERMS = 8
MAX_RESULTS = 20
SNIPPET = 200  # characters
BEFORE = 60  # of them, before the first match
IN_TITLE, IN_HEADING, IN_TEXT, MAX_IN_TEXT = 8, 12, 1, 6  # weights


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that can be found."""

    title: str  # of its page
    heading: str  # the same as the title, for the beginning of a page
    text: str
    url: str


@dataclass(frozen=True, slots=True)
class Result:
    """Something that was found, with a part of its text as (text, whether it matches)."""

    entry: Entry
    snippet: list[tuple[str, bool]]


def terms_of(query: str) -> list[str]:
    """The words of a query. A plural finds its singular as well."""
    words = re.findall(r"[\w/.-]+", query[:MAX_QUERY].casefold())
    plain = [word.removesuffix("s") if len(word) > 3 else word for word in words]
    return list(dict.fromkeys(plain))[:MAX_TERMS]


def search(entries: Iterable[Entry], query: str) -> list[Result]:
    """Entries with all words of the query, the best first."""
    terms = terms_of(query)
    if not terms:
        return []
    scored = [(score, entry) for entry in entries if (score := _score(entry, terms))]
    scored.sort(key=lambda pair: -pair[0])  # stable: equals stay in the order of the menu
    best = islice((entry for _, entry in scored), MAX_RESULTS)
    return [Result(entry, _snippet(entry.text, terms)) for entry in best]


def _score(entry: Entry, terms: list[str]) -> int:
    """0 if a word is missing."""
    title, heading, text = (part.casefold() for part in (entry.title, entry.heading, entry.text))
    total = 0
    for term in terms:
        score = IN_TITLE * (term in title) + IN_HEADING * (term in heading)
        score += IN_TEXT * min(text.count(term), MAX_IN_TEXT)
        if not score:
            return 0
        total += score
    return total


def _snippet(text: str, terms: list[str]) -> list[tuple[str, bool]]:
    pattern = re.compile("|".join(re.escape(term) for term in terms), re.IGNORECASE)
    first = pattern.search(text)
    start = max(0, first.start() - BEFORE) if first else 0
    if start:  # at the beginning of a word
        start = text.find(" ", start) + 1 or start
    part = text[start : start + SNIPPET]
    if start + SNIPPET < len(text):
        part = part.rsplit(" ", 1)[0] + " …"
    return list(_marked(f"… {part}" if start else part, pattern))


def _marked(text: str, pattern: re.Pattern[str]) -> Iterator[tuple[str, bool]]:
    at = 0
    for match in pattern.finditer(text):
        if match.start() > at:
            yield text[at : match.start()], False
        yield match[0], True
        at = match.end()
    if at < len(text):
        yield text[at:], False
