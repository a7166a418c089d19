"""The speakers of a transcript, as its page shows them."""

from __future__ import annotations

from collections.abc import Iterable

from django.http import QueryDict

from transcriptions.library.numbers import parse_number
from transcriptions.models import Segment, Speaker, Transcription

SPEAKER_COUNTS = range(1, 11)  # offered where speakers are detected


def speaker_count(posted: QueryDict) -> int | None:
    """The number of speakers chosen in a form; None for any number."""
    count = parse_number(posted.get("speakers", ""))
    return count if count in SPEAKER_COUNTS else None


def speakers_of_page(row: Transcription, segments: Iterable[Segment]) -> dict[int, Speaker]:
    """All speakers by number. Before processing has ended, only segments have the numbers."""
    numbers = {segment.speaker for segment in segments if segment.speaker is not None}
    spoken = {number: Speaker(number=number) for number in numbers}
    stored = {speaker.number: speaker for speaker in row.speakers.all()}
    return dict(sorted((spoken | stored).items()))
