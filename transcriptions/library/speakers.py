"""The speakers of a transcript, as its page shows them."""

from __future__ import annotations

from collections.abc import Iterable

from django.http import QueryDict

from transcriptions.models import Segment, Transcription

SPEAKER_COUNTS = range(1, 11)  # offered where speakers are detected


def speaker_count(posted: QueryDict) -> int | None:
    """The number of speakers that was chosen in a form; None if any."""
    count = posted.get("speakers", "")
    return int(count) if count.isdecimal() and int(count) in SPEAKER_COUNTS else None


def names_of(row: Transcription, segments: Iterable[Segment]) -> dict[int, str]:
    """The names of all speakers by number; empty for those without a name. Before processing has
    ended, only segments have the numbers."""
    numbers = {segment.speaker: "" for segment in segments if segment.speaker is not None}
    return dict(sorted((numbers | dict(row.speakers.values_list("number", "name"))).items()))
