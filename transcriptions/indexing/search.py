"""Full-text search by PostgreSQL, which finds all grammatical forms of a word.

A row is indexed in its own language, so a query is parsed once for each language of the library.
"""

from __future__ import annotations

import re
from functools import reduce
from operator import or_

from django.contrib.postgres.search import SearchQuery, SearchVector
from django.db.models import Func, IntegerField, Q, QuerySet, TextField, Value
from django.db.models.lookups import Exact

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
    words ("to be or not to be") is searched for as one phrase.
    """
    if UNSPACED_CHARACTER.search(query):
        return rows.filter(_has_substrings(rows, query))
    languages: dict[str, list[str]] = {}
    for language in rows.order_by().values_list("language", flat=True).distinct():
        languages.setdefault(_dictionary(language), []).append(language)
    phrase = _has_phrase(rows, query)
    conditions = [
        Q(language__in=codes) & _has_words(query, dictionary, phrase)
        for dictionary, codes in languages.items()
    ]
    return rows.filter(reduce(or_, conditions, NO_ROWS))


def _has_words(query: str, dictionary: str, otherwise: Q) -> Q:
    """The query in that dictionary, or `otherwise` if it consists of its stop words. PostgreSQL
    decides which one applies before it reads any row."""
    search_query = SearchQuery(query, config=dictionary, search_type="websearch")
    size = Func(search_query, function="numnode", output_field=IntegerField())
    return Q(search=search_query) | Q(Exact(size, 0)) & otherwise


def _has_phrase(rows: QuerySet[Transcription], query: str) -> Q:
    """The words of the query one after the other, each as a whole word."""
    words = [re.escape(word) for word in re.split(WORD_SEPARATOR, query) if word]
    pattern = WORD_SEPARATOR.join(words)
    return _contains(rows, rf"(?<!\w){pattern}(?!\w)", "iregex") if words else NO_ROWS


def _has_substrings(rows: QuerySet[Transcription], query: str) -> Q:
    """The query with each of its terms as a substring."""
    condition = NO_ROWS
    for alternative in re.split(r"\s+or\s+", query, flags=re.IGNORECASE):
        all_terms = Q()
        for sign, quoted, bare in TERM.findall(alternative):
            term = _contains(rows, quoted or bare)
            all_terms &= ~term if sign else term
        condition |= all_terms
    return condition


def _contains(rows: QuerySet[Transcription], text: str, lookup: str = "icontains") -> Q:
    """`text` in the title or in a segment."""
    by_segment = rows.filter(**{f"segments__text__{lookup}": text}).order_by().values("id")
    return Q(**{f"title__{lookup}": text}) | Q(id__in=by_segment)


def _dictionary(language: str) -> str:
    return DICTIONARIES.get(language, "simple")


def _vector(text: str, dictionary: str, weight: str) -> SearchVector:
    return SearchVector(Value(text, output_field=TextField()), config=dictionary, weight=weight)
