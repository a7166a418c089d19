"""Search in the documents, which are few and in memory: every section is scored."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

MAX_QUERY_CHARS = 100
MAX_TERMS = 8
MAX_RESULTS = 20
SNIPPET_CHARS = 200
LEADING_CHARS = 60  # of a snippet, before the first match
TITLE_WEIGHT, HEADING_WEIGHT, TEXT_WEIGHT = 8, 12, 1
MAX_TEXT_MATCHES = 6  # counted per term


@dataclass(frozen=True, slots=True)
class Entry:
    """A section or operation that can be found."""

    title: str  # of the page
    heading: str  # the title itself for the start of a page
    text: str
    url: str


@dataclass(frozen=True, slots=True)
class Result:
    """A match, with an excerpt of its text as (text, whether it matches)."""

    entry: Entry
    snippet: list[tuple[str, bool]]


def terms_of(query: str) -> list[str]:
    """The words of a query in lower case. The plural -s is removed to find the singular too."""
    words = re.findall(r"[\w/.-]+", query[:MAX_QUERY_CHARS].casefold())
    plain = [word.removesuffix("s") if len(word) > 3 else word for word in words]
    return list(dict.fromkeys(plain))[:MAX_TERMS]


def search(entries: Iterable[Entry], query: str) -> list[Result]:
    """Entries with all words of the query, the best first."""
    terms = terms_of(query)
    if not terms:
        return []
    scored = [(score, entry) for entry in entries if (score := _score(entry, terms))]
    scored.sort(key=lambda pair: -pair[0])  # stable: equal scores keep the order of the menu
    best = islice((entry for _, entry in scored), MAX_RESULTS)
    return [Result(entry, _snippet(entry.text, terms)) for entry in best]


def _score(entry: Entry, terms: list[str]) -> int:
    """The weighted number of matches; 0 if a term is missing."""
    title, heading, text = (part.casefold() for part in (entry.title, entry.heading, entry.text))
    total = 0
    for term in terms:
        score = TITLE_WEIGHT * (term in title) + HEADING_WEIGHT * (term in heading)
        score += TEXT_WEIGHT * min(text.count(term), MAX_TEXT_MATCHES)
        if not score:
            return 0
        total += score
    return total


def _snippet(text: str, terms: list[str]) -> list[tuple[str, bool]]:
    pattern = re.compile("|".join(re.escape(term) for term in terms), re.IGNORECASE)
    first = pattern.search(text)
    start = max(0, first.start() - LEADING_CHARS) if first else 0
    if start:  # start at a word boundary
        start = text.find(" ", start) + 1 or start
    part = text[start : start + SNIPPET_CHARS]
    if start + SNIPPET_CHARS < len(text):
        part = part.rsplit(" ", 1)[0] + " …"
    return list(_marked(f"… {part}" if start else part, pattern))


def _marked(text: str, pattern: re.Pattern[str]) -> Iterator[tuple[str, bool]]:
    position = 0
    for match in pattern.finditer(text):
        if match.start() > position:
            yield text[position : match.start()], False
        yield match[0], True
        position = match.end()
    if position < len(text):
        yield text[position:], False
