"""The log of the changes of a transcript, from which undo, redo and earlier versions are
computed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Count, Max, Q
from django.utils.translation import gettext as _

from transcriptions.editing.snapshots import Snapshot, replace, replace_each, snapshots
from transcriptions.exceptions import EditConflict, NothingToUndo, WrongState
from transcriptions.models import Edit, EditKind, EditStatus, Speaker, Transcription, VoiceUse
from transcriptions.models.progress import count_speaker_change

MAX_EDITS = 5000  # kept for a transcript, the newest ones: several days of work

Names = dict[str, str]  # of all speakers, by number


@dataclass(frozen=True, slots=True)
class Change:
    """`before` are the segments from number `first` before the edit, `after` those that replace
    them."""

    first: int
    before: list[Snapshot]
    after: list[Snapshot]

    @classmethod
    def of(cls, stored: dict[str, Any]) -> Change:
        """Decode a change stored in `Edit.changes`."""
        return cls(stored["from"], stored["before"], stored["after"])

    def to_json(self) -> dict[str, Any]:
        """Encode the change for `Edit.changes`."""
        return {"from": self.first, "before": self.before, "after": self.after}


@dataclass(frozen=True, slots=True)
class Position:
    """How often a transcript was changed, and whether there is a change to undo or redo."""

    revision: int
    can_undo: bool
    can_redo: bool


@dataclass(frozen=True, slots=True)
class Done:
    """A logged edit, for clients that show the transcript: which segments were replaced, with their
    numbers before the edit, and by how many."""

    position: Position
    replaced: list[tuple[int, int, list[Snapshot]]]  # first, count, new
    names: Names | None = None  # of all speakers, if these have changed


def position_of(row: Transcription) -> Position:
    """The position of the transcript in its log."""
    found = row.edits.aggregate(
        last=Max("revision"),
        applied=Count("id", filter=Q(status=EditStatus.APPLIED)),
        undone=Count("id", filter=Q(status=EditStatus.UNDONE)),
    )
    return Position(found["last"] or 0, found["applied"] > 0, found["undone"] > 0)


def revision_of(row: Transcription) -> int:
    """The number of changes of the transcript."""
    return position_of(row).revision


@contextmanager
def locked(row: Transcription, message: str) -> Iterator[Transcription]:
    """The row in a transaction that changes its transcript. Raises WrongState with `message` while
    the recording is processed."""
    with transaction.atomic():
        found = Transcription.objects.select_for_update().get(id=row.id)
        if not found.is_finished:
            raise WrongState(message)
        yield found


@contextmanager
def recorded(
    row: Transcription, kind: EditKind, first: int = 1, last: int | None = None
) -> Iterator[None]:
    """Logs what the body changes in the segments `first` to `last` of a locked row, which may be
    all, and in the names of speakers."""
    names, before = names_of(row), snapshots(row, first, last)
    yield
    after = snapshots(row, first, last)
    append(row, kind, difference(first, before, after), (names, names_of(row)))


def append(
    row: Transcription,
    kind: EditKind,
    changes: Sequence[Change],
    names: tuple[Names, Names] | None = None,
) -> Edit | None:
    """Log an edit of a locked row, if there is a change. Undone changes can then no longer be
    redone, unless this edit is itself an undo or a redo."""
    are_renamed = names is not None and names[0] != names[1]
    if not changes and not are_renamed:
        return None
    is_own = kind not in (EditKind.UNDO, EditKind.REDO)
    if is_own:
        row.edits.filter(status=EditStatus.UNDONE).update(status=EditStatus.DISCARDED)
    revision = revision_of(row) + 1
    row.edits.filter(revision__lte=revision - MAX_EDITS).delete()
    return Edit.objects.create(
        transcription=row,
        revision=revision,
        kind=kind,
        status=EditStatus.APPLIED if is_own else None,
        changes=[change.to_json() for change in changes],
        speakers={"before": names[0], "after": names[1]} if names and are_renamed else None,
    )


def difference(first: int, before: list[Snapshot], after: list[Snapshot]) -> list[Change]:
    """The changes that turn `before` into `after`, without equal segments."""
    if len(before) == len(after):
        return list(_runs(first, before, after))
    start = 0
    while start < min(len(before), len(after)) and before[start] == after[start]:
        start += 1
    end = 0
    while end < min(len(before), len(after)) - start and before[-1 - end] == after[-1 - end]:
        end += 1
    change = Change(
        first + start, before[start : len(before) - end], after[start : len(after) - end]
    )
    return [change]


def _runs(first: int, before: list[Snapshot], after: list[Snapshot]) -> Iterator[Change]:
    start = 0
    while start < len(before):
        end = start
        while end < len(before) and before[end] != after[end]:
            end += 1
        if end > start:
            yield Change(first + start, before[start:end], after[start:end])
        start = end + 1


# --- Undo and redo --------------------------------------------------------------------------------


def undo(row: Transcription, revision: int | None = None) -> Done:
    """Undo the last applied change. Raises WrongState, NothingToUndo; EditConflict if there is a
    later one than `revision`."""
    with locked(row, _("Changes can be undone only after processing has finished.")) as found:
        _check_revision(found, revision)
        edit = _last_applied(found)
        if edit is None:
            raise NothingToUndo(_("There is nothing to undo."))
        return _turn(found, edit, EditKind.UNDO, EditStatus.UNDONE)


def redo(row: Transcription, revision: int | None = None) -> Done:
    """Redo the change that was undone last. Raises WrongState, NothingToUndo; EditConflict if there
    is a later one than `revision`."""
    with locked(row, _("Changes can be undone only after processing has finished.")) as found:
        _check_revision(found, revision)
        edit = _next_undone(found)
        if edit is None:
            raise NothingToUndo(_("There is nothing to redo."))
        return _turn(found, edit, EditKind.REDO, EditStatus.APPLIED)


def _check_revision(row: Transcription, revision: int | None) -> None:
    if revision is not None and revision_of(row) > revision:
        raise EditConflict(_("This transcript has changed since then."))


def _last_applied(row: Transcription) -> Edit | None:
    return row.edits.filter(status=EditStatus.APPLIED).last()


def _next_undone(row: Transcription) -> Edit | None:
    return row.edits.filter(status=EditStatus.UNDONE).first()


def _turn(row: Transcription, edit: Edit, kind: EditKind, status: EditStatus) -> Done:
    changes, names = list(map(Change.of, edit.changes)), edit.speakers
    if kind == EditKind.UNDO:
        changes = list(opposite(changes))
        names = names and {"before": names["after"], "after": names["before"]}
    make(row, changes)
    if names:
        are_same_people = not changes and names["before"].keys() == names["after"].keys()
        set_names(row, names["after"], are_same_people=are_same_people)
    edit.status = status
    edit.save(update_fields=["status"])
    append(row, kind, changes, (names["before"], names["after"]) if names else None)
    return done(row, changes, names and names["after"])


def done(row: Transcription, changes: Iterable[Change], names: Names | None = None) -> Done:
    """What clients show of a logged edit. `names`: those of speakers, if they changed."""
    replaced = [(change.first, len(change.before), change.after) for change in changes]
    return Done(position_of(row), replaced, names)


def opposite(changes: Iterable[Change]) -> Iterator[Change]:
    """The changes that undo these, with the segment numbers that hold after them."""
    moved = 0
    for change in changes:
        yield Change(change.first + moved, change.after, change.before)
        moved += len(change.after) - len(change.before)


def make(row: Transcription, changes: Sequence[Change]) -> None:
    """Apply changes to the segments of a locked row."""
    same, others = list[Change](), list[Change]()
    for change in changes:
        (same if len(change.before) == len(change.after) else others).append(change)
    replace_each(row, dict(pair for each in same for pair in enumerate(each.after, each.first)))
    for change in reversed(others):  # so that the numbers are those before the edit
        replace(row, change.first, len(change.before), change.after)
    count_speaker_change(row)


# --- Names of speakers ----------------------------------------------------------------------------


def names_of(row: Transcription) -> Names:
    """The names of all speakers, by number."""
    return {str(number): name for number, name in row.speakers.values_list("number", "name")}


def set_names(row: Transcription, names: Names, *, are_same_people: bool = False) -> None:
    """Replace the speaker names of a locked row. A speaker whose name changes may be another
    person now, who must not be recognized by the voice of the former one."""
    row.speakers.exclude(number__in=names).delete()
    for speaker in row.speakers.exclude(voice_use=VoiceUse.NONE):
        is_same = are_same_people and not speaker.is_recognized
        if speaker.name != names[str(speaker.number)] and not is_same:
            speaker.voice, speaker.voice_use = None, VoiceUse.NONE
            speaker.save(update_fields=["voice", "voice_use"])
    Speaker.objects.bulk_create(
        [Speaker(transcription=row, number=int(n), name=name) for n, name in names.items()],
        update_conflicts=True,
        unique_fields=["transcription", "number"],
        update_fields=["name"],
    )
