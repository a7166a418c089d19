"""Search for what a speaker says: `speaker:anna`."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import or_

from django.db.models import BooleanField, Exists, F, Func, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.lookups import IsNull

from transcriptions.models import Segment, Speaker


class _HasName(Func):
    """Whether a speaker has this name: these words in a row, ignoring accents."""

    template = "%(expressions)s"
    arg_joiner = " @@ "
    output_field = BooleanField()

    def __init__(self, name: str) -> None:
        plain = Func(Value(name), function="transcriptions_plain_name")
        super().__init__(F("name_words"), Func(Value("simple"), plain, function="phraseto_tsquery"))


class _HasWordsOf(Func):
    """Whether a speaker says some words of a segment, even if not most of them."""

    template = "%(expressions)s"
    arg_joiner = " @> "
    output_field = BooleanField()

    def __init__(self, number: OuterRef) -> None:
        word = Func(Value("speaker"), number, function="jsonb_build_object")
        super().__init__(F("words"), Func(word, function="jsonb_build_array"))


def is_named(name: str) -> Q:
    """Condition: a speaker of the recording has this name, with or without words."""
    return _is_any(_named([name]).filter(transcription=OuterRef("pk")))


def speaks(name: str) -> Q:
    """Condition: a speaker of the recording with this name says something."""
    speakers = _named([name]).filter(transcription=OuterRef("pk"))
    return _is_any(speakers.filter(Exists(_segments_of_speaker())))


def is_said_by(names: Iterable[str]) -> Q:
    """Condition: the search entry is a segment by a speaker with one of the names."""
    return _is_any(_speakers_of_entry(names))


def speaker_of_entry(names: Iterable[str]) -> Subquery:
    """Expression: the number of the first speaker of the search entry with one of the names."""
    return Subquery(_speakers_of_entry(names).order_by("number").values("number")[:1])


def _speakers_of_entry(names: Iterable[str]) -> QuerySet[Speaker]:
    segment = _segments_of_speaker().filter(number=OuterRef(OuterRef("number")))
    speakers = _named(names).filter(transcription=OuterRef("transcription"))
    return speakers.filter(Exists(segment))


def _is_any(speakers: QuerySet[Speaker]) -> Q:
    """Not as EXISTS: PostgreSQL might begin with the speakers of all accounts who have this
    name."""
    return Q(IsNull(Subquery(speakers.order_by().values("pk")[:1]), False))


def _named(names: Iterable[str]) -> QuerySet[Speaker]:
    return Speaker.objects.filter(reduce(or_, (Q(_HasName(name)) for name in names)))


def _segments_of_speaker() -> QuerySet[Segment]:
    """The segments of a speaker, as a subquery."""
    number = OuterRef("number")
    own = Segment.objects.filter(transcription=OuterRef("transcription"))
    return own.filter(Q(speaker=number) | Q(_HasWordsOf(number)))
