"""The speakers of a transcript, as its page shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from django.db.models import Q
from django.http import QueryDict

from transcriptions.models import Segment, Transcription
from transcriptions.models.speaker import speaker_label

SPEAKER_COUNTS = range(1, 11)  # offered where speakers are detected


def speaker_count(posted: QueryDict) -> int | None:
    """The number of speakers that was chosen in a form; None if any."""
    count = posted.get("speakers", "")
    return int(count) if count.isdecimal() and int(count) in SPEAKER_COUNTS else None


def segments_of_page(row: Transcription) -> list[Segment]:
    """All segments without their words, and whether several people speak: `has_overlap`."""
    has_overlap = Q(words__contains=[{"overlap": True}])
    return list(row.segments.defer("words", *Segment.INTERNAL).annotate(has_overlap=has_overlap))


def names_of(row: Transcription, segments: Iterable[Segment]) -> dict[int, str]:
    """The names of all speakers by number; empty for those without a name. Before processing has
    ended, only segments have the numbers."""
    numbers = {segment.speaker: "" for segment in segments if segment.speaker is not None}
    return dict(sorted((numbers | dict(row.speakers.values_list("number", "name"))).items()))


def with_turns(segments: Iterable[Segment], names: Mapping[int, str]) -> list[tuple[Segment, str]]:
    """Each segment, with the label of its speaker if a turn begins with it."""
    result, previous = list[tuple[Segment, str]](), None
    for segment in segments:
        number = segment.speaker
        label = ""
        if number is not None and number != previous:
            label = speaker_label(number, names[number])
        result.append((segment, label))
        previous = number
    return result
