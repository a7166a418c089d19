"""Full-text search by PostgreSQL, which finds all grammatical forms of a word.

Triggers (migration 0020) index each title and each segment in the language of its recording, so a
query is parsed once for each language of the library. In scripts without spaces between words, each
character is indexed as a word. The index has stop words, too ("to be or not to be").
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from operator import and_

from django.conf import settings
from django.contrib.postgres.search import SearchQuery
from django.db import OperationalError, connection, transaction
from django.db.models import BooleanField, Exists, F, Func, OuterRef, Q, QuerySet
from django.utils.translation import gettext
from psycopg.errors import QueryCanceled

from transcriptions.models import SearchEntry, Transcription

TERM = re.compile(r'(-?)(?:"([^"]+)"|([^\s"]+))')
MAX_TERMS = 20  # of a query
NO_ROWS = Q(pk__in=[])

Forms = dict[str, str]  # by term: PostgreSQL's form of it, empty without a word

# In two forms: without stop words, and with them.
PARSE = """
SELECT transcriptions_search_scope(owner_id, language), term,
    phraseto_tsquery(dictionary::regconfig, words)::text,
    phraseto_tsquery(transcriptions_full_dictionary(dictionary)::regconfig, words)::text
FROM unnest(%s::bigint[], %s::text[]) AS languages (owner_id, language),
    transcriptions_dictionary(language) AS dictionary,
    unnest(%s::text[]) AS term, transcriptions_separate_words(term) AS words
"""


class SearchRefused(ValueError):
    """The query costs too much; `str()` is a message for the user."""

    code: str


class TooManyTerms(SearchRefused):
    """The query has more than MAX_TERMS terms."""

    code = "too_many_terms"

    def __init__(self) -> None:
        message = gettext("Search for at most %(number)s words at a time.")
        super().__init__(message % {"number": MAX_TERMS})


class SearchTooSlow(SearchRefused):
    """The search took longer than SEARCH_TIMEOUT."""

    code = "search_too_slow"

    def __init__(self) -> None:
        super().__init__(gettext("This search takes too long. Search for fewer or rarer words."))


@contextmanager
def limited_time() -> Iterator[None]:
    """Cancel each query of the body after SEARCH_TIMEOUT seconds. Raises SearchTooSlow."""
    limit = f"{round(1000 * settings.SEARCH_TIMEOUT)}ms"
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [limit])
            yield
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise SearchTooSlow from error
        raise


class ParsedQuery(SearchQuery):
    """A query in PostgreSQL's own form, which is not parsed again."""

    template = "%(expressions)s::tsquery"


class Alternative:
    """Terms that a recording must have, and terms that it must not have, in any of its entries."""

    def __init__(self) -> None:
        self.required: set[str] = set()
        self.excluded: set[str] = set()
        self._queries: dict[str, list[str]] = defaultdict(list)  # by term: one for each scope
        self._words: set[str] = set()  # terms that are not a stop word in every scope

    def search_in(self, scope: str, stems: Forms, full: Forms) -> None:
        """Search in this scope as well. Stop words only count if there are no other words."""
        terms = self.required | self.excluded
        forms = stems if any(stems[term] for term in terms) else full
        words = {term for term in terms if forms[term]}
        self._words |= words
        for term in words | (self.required if words else set()):
            self._queries[term].append(_within(scope, forms[term]))

    def queries(self) -> tuple[list[list[str]], list[str]]:
        """For each required term, queries of which one must match; those that must not match."""
        required = [self._queries[term] for term in sorted(self.required & self._words)]
        return required, [query for term in sorted(self.excluded) for query in self._queries[term]]


@dataclass(frozen=True, slots=True)
class Search:
    """A parsed query of one library."""

    alternatives: list[Alternative]
    phrases: list[str]  # queries of which one is enough

    def conditions(self, *, by_index: bool) -> list[Q]:
        """A recording matches if it fulfills one of them. Without the index, PostgreSQL reads all
        entries of a recording, which is fast for a few recordings, however frequent the words are.
        """
        one_entry, conditions = [*self.phrases], []
        for required, excluded in (alternative.queries() for alternative in self.alternatives):
            if len(required) == 1 and not excluded:
                one_entry += required[0]  # one look-up for all of these alternatives
            elif required or excluded:
                entries = [_has_entry(queries, by_index) for queries in required]
                conditions.append(reduce(and_, entries, ~_has_entry(excluded, by_index)))
        if one_entry:
            single = _in_index(one_entry) if by_index else _has_entry(one_entry, by_index)
            conditions.append(single)
        return conditions


def parse(rows: QuerySet[Transcription], query: str) -> Search:
    """A search for those of `rows` that have all words of `query` in the title or in any segments:
    "in quotes" as a phrase within one of them, `or` for alternatives, `-` to exclude.

    A query of nothing but stop words is searched for as one phrase. Raises TooManyTerms.
    """
    alternatives, phrases = _split(query), []
    terms = set[str]().union(*(a.required | a.excluded for a in alternatives))
    if len(terms) > MAX_TERMS:
        raise TooManyTerms
    for scope, stems, full in _forms(rows, [*terms, query]):
        if any(stems[term] for term in terms):
            for alternative in alternatives:
                alternative.search_in(scope, stems, full)
        elif full[query]:
            phrases.append(_within(scope, full[query]))
    return Search(alternatives, phrases)


def _split(query: str) -> list[Alternative]:
    alternatives = [Alternative()]
    for sign, quoted, bare in TERM.findall(query):
        if bare.lower() == "or" and not sign:
            alternatives.append(Alternative())
        else:
            last = alternatives[-1]
            (last.excluded if sign else last.required).add(quoted or bare)
    return alternatives


def _forms(rows: QuerySet[Transcription], terms: list[str]) -> Iterator[tuple[str, Forms, Forms]]:
    """Each scope of the rows, with the forms of the terms there: without and with stop words."""
    pairs = list(rows.order_by().values_list("owner_id", "language").distinct())
    with connection.cursor() as cursor:
        cursor.execute(PARSE, [[pair[0] for pair in pairs], [pair[1] for pair in pairs], terms])
        stems, full = defaultdict[str, Forms](dict), defaultdict[str, Forms](dict)
        for scope, term, stem, with_stop_words in cursor.fetchall():
            stems[scope][term], full[scope][term] = stem, with_stop_words
    for scope in stems:
        yield scope, stems[scope], full[scope]


def _within(scope: str, form: str) -> str:
    """Matches the entries of the scope that have the form; if it is empty, all of them."""
    return f"('{scope}' & {form})" if form else f"'{scope}'"


def _in_index(queries: list[str]) -> Q:
    """The same as `_has_entry`. With DISTINCT, PostgreSQL starts with the index and not with the
    recordings, however many it expects: it knows the frequency of a word among all accounts."""
    found = SearchEntry.objects.filter(vector=ParsedQuery(" | ".join(queries)))
    return Q(pk__in=found.values("transcription").distinct())


def _has_entry(queries: list[str], by_index: bool) -> Q:
    """A recording with an entry that matches one of the queries."""
    if not queries:
        return NO_ROWS
    entries = SearchEntry.objects.filter(transcription=OuterRef("pk"))
    query = ParsedQuery(" | ".join(queries))
    if by_index:
        return Q(Exists(entries.filter(vector=query)))
    # The function of the operator @@. PostgreSQL would use the index for the operator, for each
    # recording again.
    is_match = Func(F("vector"), query, function="ts_match_vq", output_field=BooleanField())
    return Q(Exists(entries.filter(is_match)))
