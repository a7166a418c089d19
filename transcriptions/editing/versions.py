"""Earlier versions of a transcript, computed backwards from the present one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import SequenceMatcher

from django.utils.translation import gettext as _

from gpu.joining import join, separator
from transcriptions.editing.alignment import split
from transcriptions.editing.log import (
    Change,
    Done,
    Names,
    append,
    difference,
    done,
    locked,
    make,
    names_of,
    opposite,
    set_names,
)
from transcriptions.editing.matching import blocks
from transcriptions.editing.snapshots import Snapshot, snapshots
from transcriptions.exceptions import UnknownVersion
from transcriptions.models import Edit, EditKind, Transcription
from transcriptions.models.speaker import speaker_label

SESSION = timedelta(minutes=10)  # a longer pause between two edits begins another version


@dataclass(frozen=True, slots=True)
class Version:
    """The transcript after an editing session."""

    revision: int
    at: datetime | None  # None: when processing ended
    edits: int
    kinds: tuple[EditKind, ...]


@dataclass(frozen=True, slots=True)
class Text:
    """A part of a passage: in both versions, only in the earlier one, or only in the present
    one."""

    kind: str  # "same", "removed", "added"
    text: str


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage in which two versions differ."""

    start: float  # seconds
    speakers: tuple[str, str]  # label in the earlier version, and now; empty: not known
    texts: tuple[Text, ...]


def versions(row: Transcription) -> list[Version]:
    """All versions that can be restored, newest first."""
    found = list(row.edits.values_list("revision", "created_at", "kind"))
    first = found[0][0] - 1 if found else 0
    listed = [Version(first, row.completed_at if first == 0 else None, 0, ())]
    for revision, at, kind in found:
        last = listed[-1]
        if last.edits and last.at and at - last.at <= SESSION:
            kinds = tuple(dict.fromkeys((*last.kinds, EditKind(kind))))
            listed[-1] = Version(revision, at, last.edits + 1, kinds)
        else:
            listed.append(Version(revision, at, 1, (EditKind(kind),)))
    return listed[::-1]


def passages(row: Transcription, revision: int) -> list[Passage]:
    """Where the version and the present transcript differ. Raises UnknownVersion."""
    before, names = _state(row, revision)
    after, present = snapshots(row), names_of(row)
    old, new = [_key(each, names) for each in before], [_key(each, present) for each in after]
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    return [
        _passage((before[i1:i2], names), (after[j1:j2], present))
        for tag, i1, i2, j1, j2 in matcher.get_opcodes()
        if tag != "equal"
    ]


def restore(row: Transcription, revision: int) -> Done:
    """Restore a version of the transcript, as another change. Raises UnknownVersion, WrongState."""
    with locked(row, _("Versions can be restored only after processing has finished.")) as found:
        wanted, names = _state(found, revision)
        present, present_names = snapshots(found), names_of(found)
        changes = [] if wanted == present else difference(1, present, wanted)
        make(found, changes)
        set_names(found, names)
        append(found, EditKind.RESTORE, changes, (present_names, names))
        return done(found, changes, names if names != present_names else None)


def _state(row: Transcription, revision: int) -> tuple[list[Snapshot], Names]:
    """The segments and speaker names of a version. Raises UnknownVersion."""
    later = list(row.edits.filter(revision__gt=revision).order_by("-revision"))
    last = row.edits.last()
    is_known = revision == (last.revision if last else 0) or (
        bool(later) and later[-1].revision == revision + 1
    )
    if not is_known:
        raise UnknownVersion(_("There is no such version."))
    segments, names = snapshots(row), names_of(row)
    for edit in later:
        _undo_in(segments, edit)
        names = edit.speakers["before"] if edit.speakers else names
    return segments, names


def _undo_in(segments: list[Snapshot], edit: Edit) -> None:
    for change in reversed(list(opposite(map(Change.of, edit.changes)))):
        start = change.first - 1
        segments[start : start + len(change.before)] = change.after


# --- What is shown --------------------------------------------------------------------------------


def _key(segment: Snapshot, names: Names) -> tuple[str, str]:
    return segment["text"], _label(segment, names)


def _label(segment: Snapshot, names: Names) -> str:
    number = segment["speaker"]
    return speaker_label(number, names.get(str(number), "")) if number else ""


def _passage(
    before: tuple[Sequence[Snapshot], Names], after: tuple[Sequence[Snapshot], Names]
) -> Passage:
    segments, present = before[0], after[0]
    labels = [
        ", ".join(dict.fromkeys(filter(None, (_label(each, names) for each in found))))
        for found, names in (before, after)
    ]
    texts = [join(segment["text"] for segment in found) for found in (segments, present)]
    return Passage(
        start=(segments or present)[0]["start"],
        speakers=(labels[0], labels[1]),
        texts=tuple(_texts(*texts)),
    )


def _texts(before: str, after: str) -> Iterator[Text]:
    """Compare two texts word by word."""
    old, new = list(split(before)), list(split(after))
    for block in blocks([word for word, _joined in old], [word for word, _joined in new]):
        if block.is_equal:
            yield Text("same", _text(new[block.new1 : block.new2]))
            continue
        if block.old1 < block.old2:
            yield Text("removed", _text(old[block.old1 : block.old2]))
        if block.new1 < block.new2:
            yield Text("added", _text(new[block.new1 : block.new2]))


def _text(words: Sequence[tuple[str, bool]]) -> str:
    text = ""
    for word, is_joined in words:
        text += ("" if is_joined or not text else separator(text, word) or " ") + word
    return text
