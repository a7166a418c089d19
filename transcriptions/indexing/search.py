"""Full-text search by PostgreSQL: words are found in every form that their language gives them.

A row is indexed in its own language, so a question is asked once in each language of the library.
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

# PostgreSQL's dictionaries by language code; for all others words are taken as they stand.
DICTIONARIES = {
    "ar": "arabic", "ca": "catalan", "da": "danish", "de": "german", "el": "greek",
    "en": "english", "es": "spanish", "eu": "basque", "fi": "finnish", "fr": "french",
    "hi": "hindi", "hu": "hungarian", "hy": "armenian", "id": "indonesian", "it": "italian",
    "lt": "lithuanian", "ne": "nepali", "nl": "dutch", "no": "norwegian", "pt": "portuguese",
    "ro": "romanian", "ru": "russian", "sr": "serbian", "sv": "swedish", "ta": "tamil",
    "tr": "turkish", "yi": "yiddish",
}  # fmt: skip
# Tibetan, Khmer, Lao, Burmese, Thai, Chinese and Japanese: PostgreSQL sees no words there.
LETTERS = re.compile(rf"[{UNSPACED}\u0f00-\u0fff]")
TERM = re.compile(r'(-?)(?:"([^"]+)"|([^\s"]+))')
BETWEEN = r'[\s",.:;!?]+'  # two words of a sentence
NOTHING = Q(pk__in=[])


def index_transcription(row: Transcription) -> None:
    """Updates the search vector from title and text; the title has more weight."""
    dictionary = _dictionary(row.language)
    Transcription.objects.filter(id=row.id).update(
        search=_vector(row.title, dictionary, "A") + _vector(row.text, dictionary, "B"),
    )


def matching(rows: QuerySet[Transcription], words: str) -> QuerySet[Transcription]:
    """Those of `rows` that hold all `words`; "in quotes" together, `or` between, `-` without.

    What is written without spaces is looked for letter by letter, wherever it stands; and a
    question of nothing but words that a language leaves out ("to be or not to be") as it stands.
    """
    if LETTERS.search(words):
        return rows.filter(_letters(rows, words))
    languages = rows.order_by().values_list("language", flat=True).distinct()
    spoken: dict[str, list[str]] = {}
    for language in languages:
        spoken.setdefault(_dictionary(language), []).append(language)
    as_it_stands = _phrase(rows, words)
    asked = [
        Q(language__in=codes) & _words(words, dictionary, as_it_stands)
        for dictionary, codes in spoken.items()
    ]
    return rows.filter(reduce(or_, asked, NOTHING))


def _words(words: str, dictionary: str, otherwise: Q) -> Q:
    """The question as that dictionary understands it, and `otherwise` if it leaves nothing of it.
    PostgreSQL sees which of the two it is before it looks at any row."""
    query = SearchQuery(words, config=dictionary, search_type="websearch")
    size = Func(query, function="numnode", output_field=IntegerField())
    return Q(search=query) | Q(Exact(size, 0)) & otherwise


def _phrase(rows: QuerySet[Transcription], words: str) -> Q:
    """The words one after the other, and none of them within another."""
    asked = BETWEEN.join(re.escape(word) for word in re.split(BETWEEN, words) if word)
    return _holding(rows, rf"(?<!\w){asked}(?!\w)", "iregex") if asked else NOTHING


def _letters(rows: QuerySet[Transcription], words: str) -> Q:
    """The same question, asked of the letters."""
    either = NOTHING
    for alternative in re.split(r"\s+or\s+", words, flags=re.IGNORECASE):
        every = Q()
        for sign, quoted, bare in TERM.findall(alternative):
            held = _holding(rows, quoted or bare)
            every &= ~held if sign else held
        either |= every
    return either


def _holding(rows: QuerySet[Transcription], asked: str, lookup: str = "icontains") -> Q:
    spoken = rows.filter(**{f"segments__text__{lookup}": asked}).order_by().values("id")
    return Q(**{f"title__{lookup}": asked}) | Q(id__in=spoken)


def _dictionary(language: str) -> str:
    return DICTIONARIES.get(language, "simple")


def _vector(text: str, dictionary: str, weight: str) -> SearchVector:
    return SearchVector(Value(text, output_field=TextField()), config=dictionary, weight=weight)
