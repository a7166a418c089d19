"""Where the words of a search occur in the recordings that it found, and who says them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from functools import reduce
from operator import add, or_

from django.db.models import Case, IntegerField, Q, QuerySet, Value, When

from transcriptions.indexing.search import NO_ROWS, Search
from transcriptions.indexing.speakers import is_said_by, speaker_of_entry
from transcriptions.models import SearchEntry, Segment, Speaker, Transcription
from transcriptions.models.passage import Passage
from transcriptions.models.speaker import speaker_label


def set_passages(rows: Sequence[Transcription], search: Search) -> None:
    """Read `passage` of all these rows with three queries, however many there are: the first
    segment with most of the words; None if only the title has them."""
    found = {entry[0]: entry[1:] for entry in _entries(rows, search)}
    segments = _segments(found)
    names = _names(found)
    for row in rows:
        if row.id in found and (segment := segments.get(row.id)):
            number = found[row.id][1] or segment.speaker
            speaker = speaker_label(number, names.get((row.id, number), "")) if number else None
            row.passage = Passage(segment.number, segment.start, segment.text, speaker)


def _entries(
    rows: Sequence[Transcription], search: Search
) -> QuerySet[SearchEntry, tuple[uuid.UUID, int, int | None]]:
    """The recording, the segment, and its speaker if the search names speakers."""
    words, names = search.words(), search.speakers()
    rank = reduce(
        add,
        (Case(When(each, then=1), default=0, output_field=IntegerField()) for each in words),
        Value(0),
    )
    entries = SearchEntry.objects.filter(transcription__in=[row.id for row in rows], number__gt=0)
    if words:
        entries = entries.filter(reduce(or_, map(Q, words)))
    if names:
        entries = entries.filter(is_said_by(names)).annotate(said_by=speaker_of_entry(names))
    else:
        entries = entries.annotate(said_by=Value(None, IntegerField()))
    if not words and not names:
        entries = entries.none()
    first = entries.annotate(rank=rank).order_by("transcription_id", "-rank", "number")
    return first.distinct("transcription_id").values_list("transcription_id", "number", "said_by")


def _segments(found: dict[uuid.UUID, tuple[int, int | None]]) -> dict[uuid.UUID, Segment]:
    pairs = (Q(transcription=key, number=number) for key, (number, _) in found.items())
    segments = Segment.objects.filter(reduce(or_, pairs, NO_ROWS))
    fields = segments.only("transcription_id", "number", "start", "text", "speaker")
    return {segment.transcription_id: segment for segment in fields}


def _names(found: dict[uuid.UUID, tuple[int, int | None]]) -> dict[tuple[uuid.UUID, int], str]:
    """The names of all speakers of these recordings."""
    speakers = Speaker.objects.filter(transcription__in=list(found))
    values = speakers.values_list("transcription_id", "number", "name")
    return {(key, number): name for key, number, name in values}
