"""Full-text search by PostgreSQL, which finds all grammatical forms of a word.

Triggers (migration 0020) index each title and each segment in the language of its recording, so a
query is parsed once for each language of the library. In scripts without spaces between words, each
character is indexed as a word. Stop words are indexed, too ("to be or not to be").

`speaker:anna` (indexing/speakers.py) limits a search to what Anna says.

The index finds entries by hashes of their words, which differ between accounts (migration 0029).
Entries found are then compared with the query: words may share a hash, and phrases have an order.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator
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

from transcriptions.indexing.speakers import is_named, is_said_by, speaks
from transcriptions.models import SEARCH_KEYS, SearchEntry, Transcription

TERM = re.compile(r'(-?)(speaker:\s*)?(?:"([^"]+)"|([^\s"]+))', re.IGNORECASE)
STRAIGHT_QUOTES = str.maketrans(dict.fromkeys("“”„«»", '"'))  # phones type curly ones
MAX_TERMS = 20  # of a query
NO_ROWS = Q(pk__in=[])

FEW_ENTRIES = 1000  # a word with fewer is rare: its recordings can be read first

# Settings for the queries of a transaction.
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
    """A term as it is searched in the entries of a scope. Without a word, it matches all
    entries."""

    scope: str
    text: str  # PostgreSQL's form
    keys: frozenset[int]  # that the index has for every matching entry

    @classmethod
    def of(cls, scope: str, text: str, keys: list[int], scope_keys: list[int]) -> Form:
        """`keys` include the keys of the whole scope, `scope_keys`, which do not narrow a
        search."""
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
    """Cancel each query of the body after SEARCH_TIMEOUT seconds. No query reads the rows of all
    accounts, or waits for parallel workers to start. Raises SearchTooSlow."""
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
    """A query in PostgreSQL's own form, which needs no further parsing."""

    template = "%(expressions)s::tsquery"


class Alternative:
    """Terms that a recording must have, and terms that it must not have, in any of its entries; and
    speakers: those who must say the required terms, and those who must not speak."""

    def __init__(self) -> None:
        self.required: set[str] = set()
        self.excluded: set[str] = set()
        self.speakers: set[str] = set()
        self.excluded_speakers: set[str] = set()
        self._forms: dict[str, list[Form]] = defaultdict(list)  # by term: one for each scope
        self._words: set[str] = set()  # terms that are not stop words in every scope

    def search_in(self, stems: Forms, full: Forms) -> None:
        """Search another scope as well. Stop words only count if there are no other words."""
        terms = self.required | self.excluded
        forms = stems if any(stems[term].text for term in terms) else full
        words = {term for term in terms if forms[term].text}
        self._words |= words
        for term in words | (self.required if words else set()):
            self._forms[term].append(forms[term])

    def forms(self) -> tuple[list[list[Form]], list[Form]]:
        """For each required term, forms of which one must match; and forms that must not match."""
        required = [self._forms[term] for term in sorted(self.required & self._words)]
        return required, [form for term in sorted(self.excluded) for form in self._forms[term]]

    def terms(self, *, of_speakers: bool) -> set[str]:
        """All names, or all terms that are not names."""
        if of_speakers:
            return self.speakers | self.excluded_speakers
        return self.required | self.excluded

    def add(self, term: str, *, is_excluded: bool, is_speaker: bool) -> None:
        if is_speaker:
            (self.excluded_speakers if is_excluded else self.speakers).add(term)
        else:
            (self.excluded if is_excluded else self.required).add(term)


@dataclass(frozen=True, slots=True)
class Search:
    """A parsed query of one library."""

    alternatives: list[Alternative]
    phrases: list[Form]  # one of which is enough

    def words(self) -> list[Func]:
        """Conditions for a search entry: it has the first required term, the second one, and so
        on."""
        required = [forms for each in self.alternatives for forms in each.forms()[0]]
        return [_is_match(forms) for forms in [*required, self.phrases] if forms]

    def speakers(self) -> set[str]:
        """The names of all speakers that must speak."""
        return set[str]().union(*(each.speakers for each in self.alternatives))

    def conditions(self) -> list[Q]:
        """A recording matches if it fulfills one of these conditions. PostgreSQL reads all of its
        entries, which is fast for a few recordings, however frequent the words are."""
        one_entry, conditions = [*self.phrases], []
        for alternative in self.alternatives:
            required, excluded = alternative.forms()
            if alternative.terms(of_speakers=True):
                conditions.append(_spoken(alternative, required, excluded))
            elif len(required) == 1 and not excluded:
                one_entry += required[0]  # one condition for all of these alternatives
            elif required or excluded:
                conditions.append(reduce(and_, map(_has_entry, required), ~_has_entry(excluded)))
        return [*conditions, _has_entry(one_entry)]

    def candidates(self) -> list[Q]:
        """A matching recording fulfills one of these conditions, which use the index. PostgreSQL
        could not use it well for all of them in one query."""
        one_entry, conditions = [*self.phrases], []
        for alternative in self.alternatives:
            required, excluded = alternative.forms()
            names = alternative.speakers
            if names:
                words = [_all_in_index(required)] if required else []
                conditions.append(reduce(and_, [*map(is_named, sorted(names)), *words]))
            elif len(required) == 1:
                one_entry += required[0]
            elif required:
                conditions.append(_all_in_index(required))
            elif excluded or alternative.excluded_speakers:
                conditions.append(~_in_index(excluded))
        return [*conditions, _in_index(one_entry)]


def parse(rows: QuerySet[Transcription], query: str) -> Search:
    """A search for those of `rows` that have all words of `query` in the title or in any segments:
    "in quotes" as a phrase within one of them, `or` for alternatives, `-` to exclude. With
    `speaker:` before a name, this person must say the words. A query of nothing but stop words is
    searched as one phrase. Raises TooManyTerms.
    """
    alternatives, phrases = _split(query), []
    terms = set[str]().union(*(each.terms(of_speakers=False) for each in alternatives))
    names = set[str]().union(*(each.terms(of_speakers=True) for each in alternatives))
    if len(terms) + len(names) > MAX_TERMS:
        raise TooManyTerms
    for stems, full in _forms(rows, [*terms, query]):
        if names or any(stems[term].text for term in terms):
            for alternative in alternatives:
                alternative.search_in(stems, full)
        elif full[query].text:
            phrases.append(full[query])
    return Search(alternatives, phrases)


def _split(query: str) -> list[Alternative]:
    alternatives = [Alternative()]
    for sign, speaker, quoted, bare in TERM.findall(query.translate(STRAIGHT_QUOTES)):
        if bare.lower() == "or" and not sign and not speaker:
            alternatives.append(Alternative())
        else:
            alternatives[-1].add(quoted or bare, is_excluded=bool(sign), is_speaker=bool(speaker))
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


def _all_in_index(required: list[list[Form]]) -> Q:
    """Recordings that may have entries for all of `required`. If some words are rare, only these
    are looked up: PostgreSQL does not know how frequent a word is in an account."""
    # Where a word is a stop word, all entries match it.
    words = [forms for forms in required if all(form.text for form in forms)] or required
    rare = [forms for forms in words if _count_entries(forms) < FEW_ENTRIES]
    return reduce(and_, map(_in_index, rare or words))


def _count_entries(forms: list[Form]) -> int:
    """How many entries may match one of the forms, up to FEW_ENTRIES."""
    return _in_keys(forms).values("number")[:FEW_ENTRIES].count()


def _in_index(forms: list[Form]) -> Q:
    """A recording with an entry that matches one of the forms. With DISTINCT, PostgreSQL starts
    with the index instead of the recordings, however many it expects."""
    found = _in_keys(forms).filter(_is_match(forms))
    return Q(pk__in=found.values("transcription").distinct()) if forms else NO_ROWS


def _in_keys(forms: list[Form]) -> QuerySet[SearchEntry]:
    """Entries that have all keys of one of the forms. Single words are one look-up."""
    words = [key for form in forms if len(form.keys) == 1 for key in form.keys]
    phrases = [sorted(form.keys) for form in forms if len(form.keys) > 1]
    has_keys = reduce(or_, (Q(keys__contains=keys) for keys in phrases), Q(keys__overlap=words))
    return SearchEntry.objects.alias(keys=SEARCH_KEYS).filter(has_keys)


def _has_entry(forms: list[Form], speakers: Collection[str] = ()) -> Q:
    """The same as `_in_index`, without the index; if there are `speakers`, one of them must say
    it."""
    entries = SearchEntry.objects.filter(_is_match(forms), transcription=OuterRef("pk"))
    if speakers:
        entries = entries.filter(is_said_by(speakers))
    return Q(Exists(entries)) if forms else NO_ROWS


def _spoken(alternative: Alternative, required: list[list[Form]], excluded: list[Form]) -> Q:
    """All of the speakers speak, and one of them says each of the words."""
    names, excluded_names = sorted(alternative.speakers), sorted(alternative.excluded_speakers)
    words = [_has_entry(forms, names) for forms in required]
    absent = [~speaks(name) for name in excluded_names]
    return reduce(and_, [*map(speaks, names), *words, *absent], ~_has_entry(excluded))


def _is_match(forms: list[Form]) -> Func:
    """The function of the operator @@, for which PostgreSQL would use an index."""
    return Func(F("vector"), _query(forms), function="ts_match_vq", output_field=BooleanField())


def _query(forms: list[Form]) -> ParsedQuery:
    texts: dict[str, list[str]] = defaultdict(list)
    for form in forms:
        texts[form.scope].append(form.text)
    return ParsedQuery(" | ".join(_within(scope, found) for scope, found in texts.items()))


def _within(scope: str, texts: list[str]) -> str:
    """Matches the entries of the scope that have one of the forms; if one is empty, all of them."""
    return f"('{scope}' & ({' | '.join(texts)}))" if all(texts) else f"'{scope}'"
