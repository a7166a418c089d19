"""How the speakers of stored words are changed: in one transaction, with a few statements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection, transaction
from psycopg.types.json import Jsonb

from gpu.types import Word
from transcriptions.models import Segment, Speaker, Transcription
from transcriptions.models.progress import count_speaker_change
from transcriptions.models.segment import main_speaker
from transcriptions.processing import lifecycle
from transcriptions.processing.speakers import SpeakerOf
from transcriptions.schemas.events import SpeakersEvent

UPDATE = """
UPDATE transcriptions_segment AS segment
SET words = new.words, recognized = new.recognized, speaker = new.speaker
FROM unnest(%s::bigint[], %s::jsonb[], %s::jsonb[], %s::smallint[])
    AS new (id, words, recognized, speaker)
WHERE segment.id = new.id
"""


def store_speakers(
    row: Transcription, speaker_of: SpeakerOf, *, is_final: bool
) -> SpeakersEvent | None:
    """Change the speakers of all stored words; segments stay the same. Return what to publish after
    the transaction; None if nothing has changed. The speakers get rows if it `is_final`. Raises
    LeaseLost."""
    with transaction.atomic():
        lifecycle.lock_held(row)
        segments = list(row.segments.only("number", "words", "recognized", "speaker"))
        changed = [segment for segment in segments if _change(segment, speaker_of)]
        update_speakers(changed)
        if is_final:
            _store_rows(row, segments)
        if not changed:
            return None
        return SpeakersEvent.of(row, count_speaker_change(row), segments, changed)


def _change(segment: Segment, speaker_of: SpeakerOf) -> bool:
    """Whether the speaker of any word has changed."""
    words, recognized = segment.words, segment.recognized
    segment.words = _with_speakers(words, speaker_of)
    if recognized is not None:
        segment.recognized = _with_speakers(recognized, speaker_of)
    segment.speaker = main_speaker(segment.words)
    return (segment.words, segment.recognized) != (words, recognized)


def _with_speakers(words: Sequence[dict[str, Any]], speaker_of: SpeakerOf) -> list[dict[str, Any]]:
    result = []
    for word in words:
        speaker = speaker_of(Word(**word))
        rest = {name: value for name, value in word.items() if name != "speaker"}
        result.append(rest if speaker is None else rest | {"speaker": speaker})
    return result


def update_speakers(segments: Sequence[Segment]) -> None:
    """Store the words of segments, and their speakers, in one statement."""
    if segments:
        values = (
            [segment.id for segment in segments],
            [Jsonb(segment.words) for segment in segments],
            [None if s.recognized is None else Jsonb(s.recognized) for s in segments],
            [segment.speaker for segment in segments],
        )
        with connection.cursor() as cursor:
            cursor.execute(UPDATE, values)


def _store_rows(row: Transcription, segments: Iterable[Segment]) -> None:
    """A row for each speaker. Those that an earlier attempt has found stay if they have a name."""
    numbers = {word["speaker"] for each in segments for word in each.words if "speaker" in word}
    row.speakers.filter(name="").exclude(number__in=numbers).delete()
    new = [Speaker(transcription=row, number=number) for number in sorted(numbers)]
    Speaker.objects.bulk_create(new, ignore_conflicts=True)
