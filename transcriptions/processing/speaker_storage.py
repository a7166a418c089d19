"""How the speakers of stored words are changed: in one transaction, with a few statements."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction

from gpu.types import Word
from transcriptions.editing.speakers import change_speakers, update_speakers
from transcriptions.models import Segment, Speaker, Transcription
from transcriptions.models.progress import count_speaker_change
from transcriptions.processing import lifecycle
from transcriptions.processing.speakers import SpeakerOf
from transcriptions.schemas.events import SpeakersEvent


def store_speakers(
    row: Transcription, speaker_of: SpeakerOf, *, is_final: bool
) -> SpeakersEvent | None:
    """Change the speakers of all stored words; segments stay the same. Return what to publish after
    the transaction; None if nothing has changed. The speakers get rows if it `is_final`. Raises
    LeaseLost."""
    with transaction.atomic():
        lifecycle.lock_held(row)
        segments = list(row.segments.only("number", "words", "recognized", "speaker"))
        changed = [
            segment
            for segment in segments
            if change_speakers(segment, lambda word: speaker_of(Word(**word)))
        ]
        update_speakers(changed)
        if is_final:
            _store_rows(row, segments)
        if not changed:
            return None
        return SpeakersEvent.of(row, count_speaker_change(row), segments, changed)


def _store_rows(row: Transcription, segments: Iterable[Segment]) -> None:
    """A row for each speaker. Those that an earlier attempt has found stay if they have a name."""
    numbers = {word["speaker"] for each in segments for word in each.words if "speaker" in word}
    row.speakers.filter(name="").exclude(number__in=numbers).delete()
    new = [Speaker(transcription=row, number=number) for number in sorted(numbers)]
    Speaker.objects.bulk_create(new, ignore_conflicts=True)
