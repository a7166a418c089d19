"""Full-text search by PostgreSQL, which finds all grammatical forms of a word.

Triggers (migration 0020) index each title and each segment in the language of its recording, so a
query is parsed once for each language of the library. In scripts without spaces between words, each
character is indexed as a word. The index has stop words, too ("to be or not to be").

The index finds entries by hashes of their words, which differ between accounts (migration 0028).
What it finds is compared with the query: words may share a hash, and phrases have an order.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from operator import and_, or_

from django.conf import settings
from django.contrib.postgres.search import SearchQuery
from django.db import OperationalError, connection, transaction
from django.db.models import BooleanField, Exists, F, Func, OuterRef, Q, QuerySet
from django.utils.translation import gettext
from psycopg.errors import QueryCanceled

from transcriptions.models import SEARCH_KEYS, SearchEntry, Transcription

TERM = re.compile(r'(-?)(?:"([^"]+)"|([^\s"]+))')
MAX_TERMS = 20  # of a query
NO_ROWS = Q(pk__in=[])

FEW_ENTRIES = 500  # of which the recordings can be read faster than those of other words

# Of the queries of a transaction.
LIMITS = """
SELECT set_config('statement_timeout', %s, true),
    set_config('max_parallel_workers_per_gather', '0', true),
    set_config('enable_seqscan', 'off', true)
"""

# Each term in two forms: without stop words, and with them.
PARSE = """
SELECT scope, term, transcriptions_search_keys(every),
    phraseto_tsquery(stems, words)::text,
    transcriptions_search_keys(to_tsvector(stems, words) || every),
    phraseto_tsquery(full_stems, words)::text,
    transcriptions_search_keys(to_tsvector(full_stems, words) || every)
FROM unnest(%s::bigint[], %s::text[]) AS languages (owner_id, language),
    transcriptions_search_scope(owner_id, language) AS scope,
    array_to_tsvector(ARRAY[scope]) AS every,
    transcriptions_dictionary(language) AS dictionary,
    CAST(dictionary AS regconfig) AS stems,
    CAST(transcriptions_full_dictionary(dictionary) AS regconfig) AS full_stems,
    unnest(%s::text[]) AS term, transcriptions_separate_words(term) AS words
"""


@dataclass(frozen=True, slots=True)
class Form:
    """A term as it is searched for in the entries of a scope. Without a word, it matches all."""

    scope: str
    text: str  # PostgreSQL's form
    keys: frozenset[int]  # that the index has for each entry that matches

    @classmethod
    def of(cls, scope: str, text: str, keys: list[int], scope_keys: list[int]) -> Form:
        """`keys` include those of the whole scope, `scope_keys`, which do not narrow a search."""
        return cls(scope, text, frozenset(keys).difference(scope_keys if text else ()))


Forms = dict[str, Form]  # by term


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
    """Cancel each query of the body after SEARCH_TIMEOUT seconds. None reads all accounts, or waits
    for the start of helpers. Raises SearchTooSlow."""
    limit = f"{round(1000 * settings.SEARCH_TIMEOUT)}ms"
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(LIMITS, [limit])
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
        self._forms: dict[str, list[Form]] = defaultdict(list)  # by term: one for each scope
        self._words: set[str] = set()  # terms that are not a stop word in every scope

    def search_in(self, stems: Forms, full: Forms) -> None:
        """Search in another scope as well. Stop words only count if there are no other words."""
        terms = self.required | self.excluded
        forms = stems if any(stems[term].text for term in terms) else full
        words = {term for term in terms if forms[term].text}
        self._words |= words
        for term in words | (self.required if words else set()):
            self._forms[term].append(forms[term])

    def forms(self) -> tuple[list[list[Form]], list[Form]]:
        """For each required term, forms of which one must match; those that must not match."""
        required = [self._forms[term] for term in sorted(self.required & self._words)]
        return required, [form for term in sorted(self.excluded) for form in self._forms[term]]


@dataclass(frozen=True, slots=True)
class Search:
    """A parsed query of one library."""

    alternatives: list[Alternative]
    phrases: list[Form]  # of which one is enough

    def conditions(self, *, by_index: bool) -> list[Q]:
        """A recording matches if it fulfills one of them. Without the index, PostgreSQL reads all
        entries of a recording, which is fast for a few recordings, however frequent the words are.
        """
        one_entry, conditions = [*self.phrases], []
        for required, excluded in (alternative.forms() for alternative in self.alternatives):
            if len(required) == 1 and not excluded:
                one_entry += required[0]  # one look-up for all of these alternatives
            elif by_index and required:
                conditions.append(_all_in_index(required, excluded))
            elif required or excluded:
                entries = [_has_entry(forms, by_index) for forms in required]
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
    for stems, full in _forms(rows, [*terms, query]):
        if any(stems[term].text for term in terms):
            for alternative in alternatives:
                alternative.search_in(stems, full)
        elif full[query].text:
            phrases.append(full[query])
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


def _forms(rows: QuerySet[Transcription], terms: list[str]) -> Iterator[tuple[Forms, Forms]]:
    """The forms of the terms in each scope of the rows: without and with stop words."""
    pairs = list(rows.order_by().values_list("owner_id", "language").distinct())
    with connection.cursor() as cursor:
        cursor.execute(PARSE, [[pair[0] for pair in pairs], [pair[1] for pair in pairs], terms])
        stems, full = defaultdict[str, Forms](dict), defaultdict[str, Forms](dict)
        for scope, term, scope_keys, stem, stem_keys, whole, whole_keys in cursor.fetchall():
            stems[scope][term] = Form.of(scope, stem, stem_keys, scope_keys)
            full[scope][term] = Form.of(scope, whole, whole_keys, scope_keys)
    for scope in stems:
        yield stems[scope], full[scope]


def _all_in_index(required: list[list[Form]], excluded: list[Form]) -> Q:
    """Recordings with entries for all of `required`. If one is rare, its recordings are read, else
    each is looked up. PostgreSQL does not know how frequent a word is in an account."""
    counts = [_count_entries(forms) for forms in required]
    if min(counts) < FEW_ENTRIES:
        rarest = counts.index(min(counts))
        looked_up, is_excluded = {rarest}, _has_entry(excluded, by_index=False)
    else:  # a word that is a stop word somewhere is, there, in all entries
        looked_up = {n for n, forms in enumerate(required) if all(form.text for form in forms)}
        is_excluded = _in_index(excluded)
    conditions = (
        _in_index(forms) if n in looked_up else _has_entry(forms, by_index=False)
        for n, forms in enumerate(required)
    )
    return reduce(and_, conditions, ~is_excluded)


def _count_entries(forms: list[Form]) -> int:
    """How many entries may match one of the forms, up to FEW_ENTRIES."""
    if not all(form.text for form in forms):
        return FEW_ENTRIES
    entries = SearchEntry.objects.alias(keys=SEARCH_KEYS).filter(_has_keys(forms))
    return entries.values("number")[:FEW_ENTRIES].count()


def _in_index(forms: list[Form]) -> Q:
    """The same as `_has_entry`. With DISTINCT, PostgreSQL starts with the index and not with the
    recordings, however many it expects."""
    if not forms:
        return NO_ROWS
    found = _matching(forms, by_index=True)
    return Q(pk__in=found.values("transcription").distinct())


def _has_entry(forms: list[Form], by_index: bool) -> Q:
    """A recording with an entry that matches one of the forms."""
    if not forms:
        return NO_ROWS
    return Q(Exists(_matching(forms, by_index).filter(transcription=OuterRef("pk"))))


def _matching(forms: list[Form], by_index: bool) -> QuerySet[SearchEntry]:
    # The function of the operator @@, which no index is used for.
    is_match = Func(F("vector"), _query(forms), function="ts_match_vq", output_field=BooleanField())
    entries = SearchEntry.objects.filter(is_match)
    return entries.alias(keys=SEARCH_KEYS).filter(_has_keys(forms)) if by_index else entries


def _query(forms: list[Form]) -> ParsedQuery:
    texts: dict[str, list[str]] = defaultdict(list)
    for form in forms:
        texts[form.scope].append(form.text)
    return ParsedQuery(" | ".join(_within(scope, found) for scope, found in texts.items()))


def _within(scope: str, texts: list[str]) -> str:
    """Matches the entries of the scope that have one of the forms; if one is empty, all of them."""
    return f"('{scope}' & ({' | '.join(texts)}))" if all(texts) else f"'{scope}'"


def _has_keys(forms: list[Form]) -> Q:
    """All keys of one of the forms. Those of single words are looked up together."""
    words = [key for form in forms if len(form.keys) == 1 for key in form.keys]
    phrases = [sorted(form.keys) for form in forms if len(form.keys) > 1]
    conditions = [Q(keys__overlap=words)] if words else []
    return reduce(or_, [*conditions, *(Q(keys__contains=keys) for keys in phrases)])
