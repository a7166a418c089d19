"""How the speakers of stored words are changed: in one transaction, with a few statements."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from django.db import transaction

from gpu.types import Word
from transcriptions.editing.alignment import StoredWord
from transcriptions.editing.chosen_speakers import ChosenSpeakers, numbers_of_chosen
from transcriptions.editing.speaker_names import match_speakers, names_by_talk
from transcriptions.editing.speakers import NewSpeaker, change_speakers, update_speakers
from transcriptions.models import Segment, Speaker, Transcription
from transcriptions.models.progress import count_speaker_change
from transcriptions.processing import lifecycle
from transcriptions.processing.speakers import SpeakerOf
from transcriptions.schemas.events import SpeakersEvent


def store_speakers(
    row: Transcription, speaker_of: SpeakerOf, *, is_final: bool
) -> SpeakersEvent | None:
    """Change the speakers of all stored words; segments stay the same. Return what to publish after
    the transaction; None if nothing has changed. The speakers get rows if it `is_final`, with the
    names that they have in the earlier transcript of the recording. Raises LeaseLost."""
    with transaction.atomic():
        lifecycle.lock_held(row)
        segments = _segments(row)
        changed = _relabel(segments, lambda word: speaker_of(Word(**word)), speaker_of)
        if is_final:
            # Those that an earlier attempt has found stay if they have a name.
            row.speakers.filter(name="").delete()
            _add_rows(row, segments, _names_before(row.previous, segments))
        if not changed:
            return None
        return SpeakersEvent.of(row, count_speaker_change(row), segments, changed)


def replace_speakers(
    row: Transcription,
    speaker_of: SpeakerOf,
    chosen: ChosenSpeakers,
    name: Callable[[Transcription], object] | None = None,
) -> SpeakersEvent:
    """Change the speakers of a complete recording, which may have some. Words in `chosen` keep
    theirs. Who is the same keeps the row, with the name; `name` may then give names to others.
    Return what to publish. Must be called in a transaction that has locked the recording."""
    segments = _segments(row)
    words = [*_words(segments)]
    detected = [word | {"speaker": speaker_of(Word(**word))} for word in words]
    first = [word | {"speaker": chosen.first(word)} for word in words]
    matches = match_speakers(first, detected)
    last = max((word["speaker"] or 0 for word in detected), default=0)
    numbers = numbers_of_chosen(chosen, words, matches, last)

    def new_speaker(word: StoredWord) -> int | None:
        return numbers[word["speaker"]] if word in chosen else speaker_of(Word(**word))

    changed = _relabel(segments, new_speaker, speaker_of)
    _renumber_rows(row, matches)
    _add_rows(row, segments, {})
    if name:
        name(row)
    return SpeakersEvent.of(row, count_speaker_change(row), segments, changed)


def _renumber_rows(row: Transcription, matches: Mapping[int, int]) -> None:
    """Keep the rows of `matches`, which has their present numbers by the new ones."""
    known = {speaker.number: speaker for speaker in row.speakers.all()}
    row.speakers.all().delete()
    for number, old in matches.items():
        if speaker := known.get(old):
            speaker.number = number
            speaker.save(force_insert=True)


def _segments(row: Transcription) -> list[Segment]:
    return list(row.segments.only("number", "words", "recognized", "speaker"))


def _words(segments: Iterable[Segment]) -> Iterator[StoredWord]:
    return (word for each in segments for word in each.words)


def _names(row: Transcription) -> dict[int, str]:
    return dict(row.speakers.exclude(name="").values_list("number", "name"))


def _relabel(
    segments: Iterable[Segment], new_speaker: NewSpeaker, speaker_of: SpeakerOf
) -> list[Segment]:
    """Store the speakers of all words. Return the segments that have changed."""
    changed = [
        segment
        for segment in segments
        if change_speakers(segment, new_speaker, lambda word: speaker_of.has_overlap(Word(**word)))
    ]
    update_speakers(changed)
    return changed


def _names_before(previous: Transcription | None, segments: Iterable[Segment]) -> dict[int, str]:
    """The names of the speakers in an earlier transcript, by their numbers in these segments."""
    if previous is None or not (names := _names(previous)):
        return {}
    return names_by_talk(names, _words(_segments(previous)), _words(segments))


def _add_rows(row: Transcription, segments: Iterable[Segment], names: Mapping[int, str]) -> None:
    """A row for each speaker that has none."""
    numbers = {word["speaker"] for word in _words(segments) if "speaker" in word}
    new = [
        Speaker(transcription=row, number=number, name=names.get(number, ""))
        for number in sorted(numbers)
    ]
    Speaker.objects.bulk_create(new, ignore_conflicts=True)
