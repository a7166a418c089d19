"""Changes that an owner makes to the speakers of a transcript."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from django.db import connection, transaction
from django.db.models import Max
from django.utils.translation import gettext as _
from psycopg.types.json import Jsonb

from transcriptions.editing.alignment import StoredWord, realign_words
from transcriptions.exceptions import UnknownSpeaker, WrongState
from transcriptions.models import Segment, Speaker, Transcription
from transcriptions.models.progress import count_speaker_change
from transcriptions.models.segment import main_speaker

UPDATE = """
UPDATE transcriptions_segment AS segment
SET words = new.words, recognized = new.recognized, speaker = new.speaker
FROM unnest(%s::bigint[], %s::jsonb[], %s::jsonb[], %s::smallint[])
    AS new (id, words, recognized, speaker)
WHERE segment.id = new.id
"""

NewSpeaker = Callable[[StoredWord], int | None]


def name_speaker(row: Transcription, number: int, name: str) -> None:
    """Give a speaker a name; an empty one is that which every speaker has. Raises WrongState,
    UnknownSpeaker."""
    with _changing(row) as locked:
        speaker = _speaker(locked, number)
        speaker.name = name
        speaker.save(update_fields=["name"])


def assign_segment(row: Transcription, number: int, speaker: int) -> Segment:
    """All words of a segment were said by this speaker, who may be one more than there are. Raises
    WrongState, UnknownSpeaker, Segment.DoesNotExist."""
    with _changing(row) as locked:
        segment = locked.segments.get(number=number)
        if speaker == _last_number(locked) + 1:
            Speaker.objects.create(transcription=locked, number=speaker)
        _speaker(locked, speaker)
        start, end = segment.start, segment.end
        segment.words = segment.words or realign_words([], segment.text, start, end)
        change_speakers(segment, lambda _: speaker)
        update_speakers([segment])
        return segment


def merge_speakers(row: Transcription, number: int, into: int) -> None:
    """Two speakers are the same: the words of `number` are those of `into`, who gets the name if
    there is no other one. Raises WrongState, UnknownSpeaker."""
    with _changing(row) as locked:
        merged, kept = _speaker(locked, number), _speaker(locked, into)
        if merged.name and not kept.name:
            kept.name = merged.name
            kept.save(update_fields=["name"])
        merged.delete()

        def kept_instead(word: StoredWord) -> int | None:
            speaker = word.get("speaker")
            return into if speaker == number else speaker

        segments = locked.segments.only("number", "words", "recognized", "speaker")
        update_speakers([each for each in segments if change_speakers(each, kept_instead)])


@contextmanager
def _changing(row: Transcription) -> Iterator[Transcription]:
    """The row, locked, in a transaction that changes its speakers. Raises WrongState."""
    with transaction.atomic():
        locked = Transcription.objects.select_for_update().get(id=row.id)
        if not locked.is_finished:
            raise WrongState(_("Speakers can be edited when processing has ended."))
        yield locked
        count_speaker_change(locked)


def _speaker(row: Transcription, number: int) -> Speaker:
    """Their row; a recording that failed or was cancelled has none yet. Raises UnknownSpeaker."""
    speaker = row.speakers.filter(number=number).first()
    if speaker is None and row.segments.filter(speaker=number).exists():
        return Speaker.objects.create(transcription=row, number=number)
    if speaker is None:
        raise UnknownSpeaker(_("There is no such speaker."))
    return speaker


def _last_number(row: Transcription) -> int:
    named = row.speakers.aggregate(last=Max("number"))["last"]
    spoken = row.segments.aggregate(last=Max("speaker"))["last"]
    return max(named or 0, spoken or 0)


# --- Stored words -------------------------------------------------------------------------------


def change_speakers(segment: Segment, speaker_of: NewSpeaker) -> bool:
    """Change the speakers of the words of a segment, also of those that were recognized before
    people edited them. Return whether any has changed."""
    words, recognized = segment.words, segment.recognized
    segment.words = _with_speakers(words, speaker_of)
    if recognized is not None:
        segment.recognized = _with_speakers(recognized, speaker_of)
    segment.speaker = main_speaker(segment.words)
    return (segment.words, segment.recognized) != (words, recognized)


def _with_speakers(words: Sequence[StoredWord], speaker_of: NewSpeaker) -> list[StoredWord]:
    result = []
    for word in words:
        speaker = speaker_of(word)
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
