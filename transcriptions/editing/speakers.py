"""Changes that an owner makes to the speakers of a transcript."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import connection
from django.db.models import Max, Q
from django.utils.translation import gettext as _
from psycopg.types.json import Jsonb

from transcriptions.editing import log
from transcriptions.editing.alignment import StoredWord, realign_words
from transcriptions.exceptions import (
    EditConflict,
    NothingToSplit,
    UnknownSpeaker,
    UnknownWord,
)
from transcriptions.models import EditKind, Segment, Speaker, Transcription, VoiceUse
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
HasOverlap = Callable[[StoredWord], bool]


def name_speaker(row: Transcription, number: int, name: str) -> None:
    """Give a speaker a name; an empty one restores the default. Raises WrongState,
    UnknownSpeaker."""
    with _changing(row, 1, 0) as locked:
        speaker = speaker_for_update(locked, number)
        if speaker.is_recognized and speaker.name != name:
            speaker.voice, speaker.voice_use = None, VoiceUse.NONE
        speaker.name = name
        speaker.save(update_fields=["name", "voice", "voice_use"])


@dataclass(frozen=True, slots=True)
class Part:
    """A segment, or only its words from `first` to `last`, counted from 1."""

    segment: int
    first: int | None = None
    last: int | None = None


def assign(row: Transcription, parts: Sequence[Part], speaker: int) -> list[Segment]:
    """Assign all words of the parts to this speaker, whose number may be one above the highest.
    Return their segments. Raises WrongState, UnknownSpeaker, UnknownWord, Segment.DoesNotExist."""
    numbers = {part.segment for part in parts}
    with _changing(row, min(numbers), max(numbers)) as locked:
        if speaker == _last_number(locked) + 1:
            Speaker.objects.create(transcription=locked, number=speaker)
        speaker_for_update(locked, speaker)
        found = _segments(locked, numbers)
        for part in parts:
            _assign_part(found[part.segment], part, speaker)
        update_speakers([*found.values()])
        return [*found.values()]


def split_speaker(
    row: Transcription, number: int, segments: Iterable[int], revision: int | None = None
) -> list[Segment]:
    """Split a speaker who is two people: the words of `number` in these segments go to a new
    speaker. Return the changed segments. Raises WrongState, UnknownSpeaker, NothingToSplit,
    Segment.DoesNotExist; EditConflict if the transcript has changed since the `revision`."""
    with _changing(row) as locked:
        if revision is not None and revision != log.revision_of(locked):
            raise EditConflict(_("The transcript has changed since then. Compare again."))
        speaker_for_update(locked, number)
        new = _last_number(locked) + 1
        found = _segments(locked, set(segments))
        changed = [each for each in found.values() if change_speakers(each, _instead(number, new))]
        is_own = Q(speaker=number) | Q(words__contains=[{"speaker": number}])
        if not changed or not locked.segments.exclude(number__in=found).filter(is_own).exists():
            raise NothingToSplit(_("Choose some segments of this speaker, but not all."))
        Speaker.objects.create(transcription=locked, number=new)
        update_speakers(changed)
        return changed


def merge_speakers(row: Transcription, number: int, into: int) -> None:
    """Merge two speakers who are the same: the words of `number` go to `into`, who also gets the
    name if it has none. Raises WrongState, UnknownSpeaker."""
    with _changing(row) as locked:
        merged, kept = speaker_for_update(locked, number), speaker_for_update(locked, into)
        kept.name = kept.name or merged.name
        if kept.name == merged.name and not kept.voice_use:
            kept.voice, kept.voice_use = merged.voice, merged.voice_use
        kept.save(update_fields=["name", "voice", "voice_use"])
        merged.delete()
        segments = locked.segments.only("number", "words", "recognized", "speaker")
        of_kept = _instead(number, into)
        update_speakers([each for each in segments if change_speakers(each, of_kept)])


@contextmanager
def _changing(
    row: Transcription, first: int = 1, last: int | None = None
) -> Iterator[Transcription]:
    """The row, locked, in a transaction that changes its speakers, and those of the segments
    `first` to `last`, which may be all. Raises WrongState."""
    message = _("Speakers can be edited only after processing has finished.")
    with log.locked(row, message) as found, log.recorded(found, EditKind.SPEAKERS, first, last):
        yield found
        count_speaker_change(found)


def speaker_for_update(row: Transcription, number: int) -> Speaker:
    """The row of a speaker; that of the recording must be locked. A recording that failed or was
    cancelled may have no such rows yet. Raises UnknownSpeaker."""
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


def _segments(row: Transcription, numbers: set[int]) -> dict[int, Segment]:
    """The segments by number, in order. Raises Segment.DoesNotExist."""
    found = {segment.number: segment for segment in row.segments.filter(number__in=numbers)}
    if len(found) < len(numbers):
        raise Segment.DoesNotExist
    return found


def _assign_part(segment: Segment, part: Part, speaker: int) -> None:
    """Raises UnknownWord."""
    start, end = segment.start, segment.end
    segment.words = segment.words or realign_words([], segment.text, start, end)
    if part.first is None and part.last is None:
        change_speakers(segment, lambda _: speaker)
        return
    first, last = part.first or 1, part.last or len(segment.words)
    if not 1 <= first <= last <= len(segment.words):
        raise UnknownWord(_("Segment %(number)d has no such words.") % {"number": segment.number})
    start, end = segment.words[first - 1]["start"], segment.words[last - 1]["end"]

    def within(word: StoredWord) -> int | None:
        middle = (word["start"] + word["end"]) / 2
        return speaker if start <= middle <= end else word.get("speaker")

    chosen = _with_speakers(segment.words[first - 1 : last], lambda _: speaker)
    segment.words = [*segment.words[: first - 1], *chosen, *segment.words[last:]]
    segment.recognized = segment.recognized and _with_speakers(segment.recognized, within)
    segment.speaker = main_speaker(segment.words)


def _instead(number: int, other: int) -> NewSpeaker:
    """The same speakers, with `other` in place of `number`."""

    def speaker_of(word: StoredWord) -> int | None:
        speaker = word.get("speaker")
        return other if speaker == number else speaker

    return speaker_of


# --- Stored words -------------------------------------------------------------------------------


def change_speakers(
    segment: Segment, speaker_of: NewSpeaker, has_overlap: HasOverlap | None = None
) -> bool:
    """Change the speakers of the words of a segment, including the recognized words before edits.
    Without `has_overlap`, the overlap of words does not change. Return whether a speaker has
    changed."""
    words, recognized = segment.words, segment.recognized
    segment.words = _with_speakers(words, speaker_of, has_overlap)
    if recognized is not None:
        segment.recognized = _with_speakers(recognized, speaker_of, has_overlap)
    segment.speaker = main_speaker(segment.words)
    return (segment.words, segment.recognized) != (words, recognized)


def _with_speakers(
    words: Sequence[StoredWord], speaker_of: NewSpeaker, has_overlap: HasOverlap | None = None
) -> list[StoredWord]:
    has_overlap = has_overlap or (lambda word: "overlap" in word)
    result = []
    for word in words:
        speaker, overlap = speaker_of(word), has_overlap(word)
        kept = {name: value for name, value in word.items() if name not in ("speaker", "overlap")}
        known = {} if speaker is None else {"speaker": speaker}
        result.append(kept | known | ({"overlap": True} if overlap else {}))
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
