"""Replaces segments with others: corrects, divides, joins, inserts and deletes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from django.utils.translation import gettext as _

from transcriptions.editing.alignment import StoredWord, align, realign_words, split
from transcriptions.editing.log import (
    Change,
    Done,
    append,
    done,
    locked,
    make,
    names_of,
    revision_of,
)
from transcriptions.editing.snapshots import FIELDS, Snapshot
from transcriptions.exceptions import EditConflict, UnknownSpeaker
from transcriptions.models import EditKind, Segment, Speaker, State, Transcription
from transcriptions.models.segment import main_speaker


@dataclass(frozen=True, slots=True)
class NewSegment:
    """A text and its speaker; None: the speaker of most of its words. `paragraph` is whether a
    paragraph begins with it; None: unchanged."""

    text: str
    speaker: int | None = None
    paragraph: bool | None = None


@dataclass(frozen=True, slots=True)
class Replacement:
    """New segments in place of those with the numbers `first` to `last`. If `last` is `first` - 1,
    they are inserted before `first`. It is a conflict if the present texts are not
    `expected_texts`."""

    first: int
    last: int
    segments: Sequence[NewSegment]
    expected_texts: Sequence[str] | None = None


def replace_segments(
    row: Transcription, replacements: Sequence[Replacement], revision: int | None = None
) -> Done:
    """Make all replacements, or none. They are in order and do not overlap; the numbers are those
    before the edit. Unchanged words keep their times.

    Raises WrongState while the recording is processed, EditConflict (also if the transcript is not
    at `revision`), UnknownSpeaker, and Segment.DoesNotExist.
    """
    with locked(row, _("Segments can be edited only after processing has finished.")) as found:
        names = names_of(found)
        changes = _changes(found, replacements)
        if changes and revision not in (None, revision_of(found)):
            raise EditConflict(_("Someone else has edited this transcript."))
        _check_speakers(found, replacements)
        make(found, changes)
        named = names_of(found)
        append(found, EditKind.TEXT, changes, (names, named))
        return done(found, changes, named if named != names else None)


def _changes(row: Transcription, replacements: Sequence[Replacement]) -> list[Change]:
    present = _present(row, replacements)
    changes = _Changes(present)
    # A recording that was cancelled is resumed at the end of its last segment.
    end = (row.duration or 0.0) if row.state == State.COMPLETED else 0.0
    for each in replacements:
        # An insertion needs the segment before it: numbers have no gaps.
        needed = range(each.first, each.last + 1) or range(max(1, each.last), each.first)
        if any(number not in present for number in needed):
            raise Segment.DoesNotExist
        around = _Around(each, present, end)
        if _is_made(each, around.old):
            continue
        if each.segments or not around.old:
            changes.replace(each.first, around.old, around.new())
        else:
            changes.delete(each.first, around.old)
    return changes.all()


def _present(row: Transcription, replacements: Sequence[Replacement]) -> dict[int, Snapshot]:
    """The affected segments by their numbers, with their neighbors where these are needed."""
    numbers = set[int]()
    for each in replacements:
        needs_neighbors = not each.segments or each.last < each.first
        numbers |= {*range(each.first - needs_neighbors, each.last + 1 + needs_neighbors)}
    found = row.segments.filter(number__in=numbers).values("number", *FIELDS)
    return {segment.pop("number"): segment for segment in found}


def _is_made(replacement: Replacement, old: Sequence[Snapshot]) -> bool:
    """Whether the new texts are already stored: the same edit may be sent twice. Raises
    EditConflict."""
    present = [segment["text"].split() for segment in old]
    wanted = [segment.text.split() for segment in replacement.segments]
    is_text = all(each.speaker is None and each.paragraph is None for each in replacement.segments)
    if present and present == wanted and is_text:
        return not any(segment["conflict"] for segment in old)
    expected = replacement.expected_texts
    if expected is not None and present != [text.split() for text in expected]:
        text = "\n".join(segment["text"] for segment in old)
        message = _("Someone else edited this. It now reads: “%(text)s”") % {"text": text}
        raise EditConflict(message)
    return False


def _check_speakers(row: Transcription, replacements: Sequence[Replacement]) -> None:
    """Adds the next speaker, if a segment has a new speaker. Raises UnknownSpeaker."""
    wanted = {each.speaker for one in replacements for each in one.segments} - {None}
    known = set(row.speakers.values_list("number", flat=True))
    spoken = row.segments.exclude(speaker=None).values_list("speaker", flat=True)
    known |= {number for number in spoken.distinct() if number is not None}
    following = max(known, default=0) + 1
    for number in sorted(filter(None, wanted - known)):
        if number != following:
            raise UnknownSpeaker(_("There is no such speaker."))
        Speaker.objects.create(transcription=row, number=number)


class _Changes:
    """The changes of one request in order; none changes a segment that another one has replaced.

    The recognized words of deleted segments are kept with the segment before, or else with the one
    after, so that they are deleted again if the recording is recognized again.
    """

    def __init__(self, present: Mapping[int, Snapshot]) -> None:
        self._present = present
        self._made = list[Change]()
        self._kept = list[StoredWord]()  # of deleted segments that have no segment before them

    def replace(self, first: int, old: list[Snapshot], new: list[Snapshot]) -> None:
        """Add a change that replaces segments by others, or inserts some."""
        if self._kept and self._end == first:
            new[0] = new[0] | {"recognized": self._kept + _heard(new[0])}
            self._kept = []
        self._keep_after()
        self._made.append(Change(first, old, new))

    def delete(self, first: int, old: list[Snapshot]) -> None:
        """Add a change that deletes segments."""
        heard = [word for segment in old for word in _heard(segment)]
        if self._end != first:
            self._keep_after()
        if self._end == first:
            last = self._made.pop()
        elif before := self._present.get(first - 1):
            last = Change(first - 1, [before], [before])
        else:
            last = Change(first, [], [])
        after = list(last.after)
        if after:
            after[-1] = after[-1] | {"recognized": _heard(after[-1]) + heard}
        else:
            self._kept += heard
        self._made.append(Change(last.first, [*last.before, *old], after))

    def all(self) -> list[Change]:
        """All changes."""
        self._keep_after()
        return self._made

    @property
    def _end(self) -> int:
        """The number after the last changed segment."""
        return self._made[-1].first + len(self._made[-1].before) if self._made else 0

    def _keep_after(self) -> None:
        after = self._present.get(self._end)
        if self._kept and after:
            last = self._made.pop()
            kept = after | {"recognized": self._kept + _heard(after)}
            self._made.append(Change(last.first, [*last.before, after], [kept]))
        self._kept = []


@dataclass(frozen=True, slots=True)
class _Around:
    """A replacement, with the present segments around it."""

    replacement: Replacement
    present: Mapping[int, Snapshot]
    end: float  # of a segment after the last one, in seconds; 0: it has no length

    @property
    def old(self) -> list[Snapshot]:
        """The segments that are replaced."""
        return [self.present[n] for n in range(self.replacement.first, self.replacement.last + 1)]

    def new(self) -> list[Snapshot]:
        """The segments that replace them."""
        words = [word for segment in self.old for word in _words(segment)]
        start, end = self._time()
        tokens = [list(split(segment.text)) for segment in self.replacement.segments]
        timed = iter(align(words, [token for group in tokens for token in group], start, end))
        divided = [list(islice(timed, len(group))) for group in tokens]
        new = [
            self._segment(segment, words)
            for segment, words in zip(self.replacement.segments, divided, strict=True)
        ]
        if new:
            new[0]["start"], new[-1]["end"] = start, max(end, new[-1]["end"])
            if self.old and new[0]["paragraph"] is None:
                new[0]["paragraph"] = self.old[0]["paragraph"]
        return self._with_heard(new)

    def _time(self) -> tuple[float, float]:
        """Start and end of all new segments: those of the old ones, or of the pause."""
        if old := self.old:
            return old[0]["start"], old[-1]["end"]
        before = self.present.get(self.replacement.first - 1)
        after = self.present.get(self.replacement.first)
        start = before["end"] if before else 0.0
        return start, max(start, after["start"] if after else self.end)

    def _segment(self, new: NewSegment, words: list[StoredWord]) -> Snapshot:
        if new.speaker is not None:
            words = [word | {"speaker": new.speaker} for word in words]
        source = self._source(words[0]["start"])
        return {
            "start": words[0]["start"],
            "end": words[-1]["end"],
            "text": new.text,
            "words": words,
            "language": source.get("language", ""),
            "channel": source.get("channel"),
            "speaker": main_speaker(words),
            "paragraph": new.paragraph,
            "recognized": None,
            "decoding": None,
            "conflict": "",
        }

    def _source(self, start: float) -> Snapshot:
        """The segment that is replaced at this time, or a neighbor."""
        old = self.old
        if not old:
            first = self.replacement.first
            return self.present.get(first - 1) or self.present.get(first) or {}
        return next((each for each in reversed(old) if each["start"] <= start), old[0])

    def _with_heard(self, new: list[Snapshot]) -> list[Snapshot]:
        """Keep the recognized words where they differ from the present text."""
        old = self.old
        heard = [word for segment in old for word in _heard(segment)]
        texts = [word["text"] for segment in new for word in segment["words"]]
        if [word["text"] for word in heard] == texts:
            known = {(s["start"], s["end"], s["text"]): s["decoding"] for s in old}
            for segment in new:
                key = segment["start"], segment["end"], segment["text"]
                segment["decoding"] = known.get(key)
        else:
            divided = zip(new, _divided(heard, new), self.replacement.segments, strict=True)
            for segment, words, wanted in divided:
                speaker = {} if wanted.speaker is None else {"speaker": wanted.speaker}
                segment["recognized"] = [word | speaker for word in words]
        return new


def _divided(heard: Sequence[StoredWord], new: Sequence[Snapshot]) -> Iterator[list[StoredWord]]:
    """The words that were recognized during each new segment."""
    starts = [segment["start"] for segment in new[1:]] + [float("inf")]
    position = 0
    for end in starts:
        words = list[StoredWord]()
        while position < len(heard):
            word = heard[position]
            if (word["start"] + word["end"]) / 2 >= end:
                break
            words.append(word)
            position += 1
        yield words


def _words(segment: Snapshot) -> list[StoredWord]:
    words: list[StoredWord] = segment["words"]
    return words or realign_words([], segment["text"], segment["start"], segment["end"])


def _heard(segment: Snapshot) -> list[StoredWord]:
    recognized: list[StoredWord] | None = segment["recognized"]
    return _words(segment) if recognized is None else recognized
