"""How the speakers of stored words are changed: in one transaction, with a few statements."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from django.db import transaction

from gpu.types import Word
from transcriptions.editing.alignment import StoredWord
from transcriptions.editing.chosen_speakers import ChosenSpeakers
from transcriptions.editing.speaker_names import match_speakers, names_by_talk
from transcriptions.editing.speakers import NewSpeaker, change_speakers, update_speakers
from transcriptions.models import Segment, Speaker, Transcription, VoiceUse
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
        if is_final:
            row.speakers.filter(name="").delete()
        if is_final and row.speakers.exists():  # an earlier attempt has ended, and had names
            changed = _replace(row, segments, speaker_of, ChosenSpeakers([]))
        else:
            changed = _relabel(segments, _detected(speaker_of), speaker_of)
        if is_final:
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
    theirs. `name` may give names to speakers who have none then. Return what to publish. Must be
    called in a transaction that has locked the recording."""
    segments = _segments(row)
    changed = _replace(row, segments, speaker_of, chosen)
    _add_rows(row, segments, {})
    if name:
        name(row)
    return SpeakersEvent.of(row, count_speaker_change(row), segments, changed)


def _replace(
    row: Transcription,
    segments: Sequence[Segment],
    speaker_of: SpeakerOf,
    chosen: ChosenSpeakers,
) -> list[Segment]:
    """Change the speakers of all words. Who is the same keeps the row, with the name. Whom somebody
    has named keeps the words, too, if no detected voice is the same. Return the segments that have
    changed."""
    words, detected = [*_words(segments)], _detected(speaker_of)
    first = [word | {"speaker": chosen.first(word) or word.get("speaker")} for word in words]
    later = [word | {"speaker": detected(word)} for word in words]
    matches = match_speakers(first, later)
    unmatched = _named_without_voice(row, matches)
    kept = unmatched | {word["speaker"] for word in words if word in chosen}
    last = max((word["speaker"] or 0 for word in later), default=0)
    numbers = _numbers_of(kept, matches, last)

    def new_speaker(word: StoredWord) -> int | None:
        is_kept = word.get("speaker") in unmatched or word in chosen
        # A word that was edited away is only among the recognized ones: nobody may have its number.
        number = numbers.get(word["speaker"]) if is_kept else None
        return number or detected(word)

    changed = _relabel(segments, new_speaker, speaker_of)
    _renumber_rows(row, {number: old for old, number in numbers.items()})
    return changed


def _named_without_voice(row: Transcription, matches: Mapping[int, int]) -> set[int]:
    """The numbers of speakers whom somebody has named, and who are none of `matches`, nor have the
    name of one."""
    voices = set(matches.values())
    known = list(row.speakers.exclude(name="").values_list("number", "name", "voice_use"))
    present = {name.casefold() for number, name, _ in known if number in voices}
    return {
        number
        for number, name, voice_use in known
        if number not in voices
        and voice_use != VoiceUse.RECOGNIZED
        and name.casefold() not in present
    }


def _numbers_of(kept: Iterable[int], matches: Mapping[int, int], last: int) -> dict[int, int]:
    """The new numbers of speakers by their present ones, which `matches` has by the new ones. Who
    is not in it comes after the `last`."""
    numbers = {old: number for number, old in matches.items()}
    others = sorted(set(kept) - set(numbers))
    return numbers | {old: number for number, old in enumerate(others, last + 1)}


def _renumber_rows(row: Transcription, matches: Mapping[int, int]) -> None:
    """Keep the rows of `matches`, which has their present numbers by the new ones."""
    known = {speaker.number: speaker for speaker in row.speakers.all()}
    row.speakers.all().delete()
    for number, old in matches.items():
        if speaker := known.get(old):
            speaker.number = number
            speaker.save(force_insert=True)


def _detected(speaker_of: SpeakerOf) -> NewSpeaker:
    return lambda word: speaker_of(Word(**word))


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
