"""Full-text search by PostgreSQL, which finds all grammatical forms of a word.

A row is indexed in its own language, so a query is parsed once for each language of the library.
"""

from __future__ import annotations

import re

from django.contrib.postgres.aggregates import StringAgg
from django.contrib.postgres.search import SearchQuery, SearchVector
from django.db.models import F, Func, IntegerField, Q, QuerySet, TextField, Value
from django.db.models.functions import Lower
from django.db.models.lookups import Exact
from django.utils.translation import gettext

from transcriptions.models import Transcription
from transcriptions.scripts import UNSPACED

# PostgreSQL's text search configurations by language code. All other languages use `simple`, which
# only finds words as they are written.
DICTIONARIES = {
    "ar": "arabic", "ca": "catalan", "da": "danish", "de": "german", "el": "greek",
    "en": "english", "es": "spanish", "eu": "basque", "fi": "finnish", "fr": "french",
    "hi": "hindi", "hu": "hungarian", "hy": "armenian", "id": "indonesian", "it": "italian",
    "lt": "lithuanian", "ne": "nepali", "nl": "dutch", "no": "norwegian", "pt": "portuguese",
    "ro": "romanian", "ru": "russian", "sr": "serbian", "sv": "swedish", "ta": "tamil",
    "tr": "turkish", "yi": "yiddish",
}  # fmt: skip
# Scripts without spaces between words, and Tibetan: PostgreSQL finds no word boundaries there.
UNSPACED_CHARACTER = re.compile(rf"[{UNSPACED}\u0f00-\u0fff]")
TERM = re.compile(r'(-?)(?:"([^"]+)"|([^\s"]+))')
WORD_SEPARATOR = r'[\s",.:;!?]+'
NO_ROWS = Q(pk__in=[])
MAX_TERMS = 20  # of a query that is searched for as substrings


class TooManyTerms(ValueError):
    """The query has more than MAX_TERMS terms; `str()` is a message for the user."""

    def __init__(self) -> None:
        message = gettext("Search for at most %(number)s words at a time.")
        super().__init__(message % {"number": MAX_TERMS})


def index_transcription(row: Transcription) -> None:
    """Update the search vector from title and text; the title has more weight."""
    dictionary = _dictionary(row.language)
    Transcription.objects.filter(id=row.id).update(
        search=_vector(row.title, dictionary, "A") + _vector(row.text, dictionary, "B"),
    )


def matching(rows: QuerySet[Transcription], query: str) -> QuerySet[Transcription]:
    """Those of `rows` that contain all words of `query`: "in quotes" as a phrase, `or` for
    alternatives, `-` to exclude.

    A query in a script without spaces is searched for as substrings. A query of nothing but stop
    words ("to be or not to be") is searched for as one phrase. Both read every segment of `rows`
    once. Raises TooManyTerms.
    """
    if UNSPACED_CHARACTER.search(query):
        return rows.filter(_has_substrings(rows, query))
    languages: dict[str, list[str]] = {}
    for language in rows.order_by().values_list("language", flat=True).distinct():
        languages.setdefault(_dictionary(language), []).append(language)
    has_words, has_only_stop_words = NO_ROWS, NO_ROWS
    for dictionary, codes in languages.items():
        search_query = SearchQuery(query, config=dictionary, search_type="websearch")
        size = Func(search_query, function="numnode", output_field=IntegerField())
        has_words |= Q(language__in=codes, search=search_query)
        # PostgreSQL decides this before it reads any row.
        has_only_stop_words |= Q(language__in=codes) & Q(Exact(size, 0))
    return rows.filter(has_words | (has_only_stop_words & _has_phrase(rows, query)))


def _has_phrase(rows: QuerySet[Transcription], query: str) -> Q:
    """The words of the query one after the other, each as a whole word, in the title or in a
    segment."""
    words = [re.escape(word) for word in re.split(WORD_SEPARATOR, query) if word]
    if not words:
        return NO_ROWS
    pattern = rf"(?<!\w){WORD_SEPARATOR.join(words)}(?!\w)"
    by_segment = rows.filter(segments__text__iregex=pattern).order_by().values("id")
    return Q(title__iregex=pattern) | Q(id__in=by_segment)


def _has_substrings(rows: QuerySet[Transcription], query: str) -> Q:
    """Each term of the query as a substring of the title or of a segment. Raises TooManyTerms."""
    # Most queries here have no letters with an upper case, and folding the case takes time.
    fold = Lower if query.upper() != query.lower() else F
    condition = NO_ROWS
    alternatives = [
        set(TERM.findall(alternative))
        for alternative in re.split(r"\s+or\s+", query, flags=re.IGNORECASE)
    ]
    if sum(map(len, alternatives)) > MAX_TERMS:
        raise TooManyTerms
    for terms in alternatives:
        all_terms = Q()
        for sign, quoted, bare in sorted(terms):
            term = (quoted or bare).lower()
            found = Q(folded_title__contains=term) | Q(folded_text__contains=term)
            all_terms &= ~found if sign else found
        condition |= all_terms
    # One string for each recording: its segments are read once, however many terms there are. No
    # term contains the delimiter, so none is found across two segments.
    text = StringAgg(fold("segments__text"), "\n", default=Value(""))
    texts = rows.order_by().values("id").annotate(folded_title=fold("title"), folded_text=text)
    return Q(id__in=texts.filter(condition).values("id"))


def _dictionary(language: str) -> str:
    return DICTIONARIES.get(language, "simple")


def _vector(text: str, dictionary: str, weight: str) -> SearchVector:
    return SearchVector(Value(text, output_field=TextField()), config=dictionary, weight=weight)
