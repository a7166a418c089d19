"""Which words users have assigned to another speaker since some time, from the log of changes."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from transcriptions.editing.alignment import StoredWord, realign_words
from transcriptions.editing.log import Change
from transcriptions.editing.snapshots import Snapshot
from transcriptions.models import Transcription

Place = tuple[int | None, float, float]  # the channel of a word, its start and end in seconds


class ChosenSpeakers:
    """Tells whether the speaker of a present word was chosen by a user. It was not if the word has
    its original speaker again, or none. The text may have changed in the meantime."""

    def __init__(self, changes: Iterable[Change]) -> None:
        """`changes` in order of time."""
        first: dict[Place, int | None] = {}
        for change in changes:
            before = _speakers(change.before)
            for place, speaker in _speakers(change.after).items():
                if before.get(place, speaker) != speaker:
                    first.setdefault(place, before[place])
        self._changed = _by_channel(first)

    @classmethod
    def since(cls, row: Transcription, moment: datetime) -> ChosenSpeakers:
        """The chosen speakers of a recording."""
        logged = row.edits.filter(created_at__gte=moment).order_by("revision")
        return cls(
            Change.of(change)
            for changes in logged.values_list("changes", flat=True)
            for change in changes
        )

    def __contains__(self, word: StoredWord) -> bool:
        speaker = word.get("speaker")
        return speaker is not None and speaker != self.first(word)

    def first(self, word: StoredWord) -> int | None:
        """The speaker of a present word before the changes."""
        changed = self._changed.get(word.get("channel"), ())
        middle = (word["start"] + word["end"]) / 2
        index = bisect_right(changed, middle, key=lambda each: each[0]) - 1
        if index >= 0 and middle <= changed[index][1]:
            return changed[index][2]
        speaker: int | None = word.get("speaker")
        return speaker


def _speakers(snapshots: Iterable[Snapshot]) -> dict[Place, int | None]:
    return {
        (word.get("channel"), word["start"], word["end"]): word.get("speaker")
        for each in snapshots
        for word in _words(each)
    }


def _words(each: Snapshot) -> Sequence[StoredWord]:
    return each["words"] or realign_words([], each["text"], each["start"], each["end"])


def _by_channel(
    first: Mapping[Place, int | None],
) -> dict[int | None, list[tuple[float, float, int | None]]]:
    """Start, end and the first speaker of the changed words of each channel, in order."""
    found = defaultdict[int | None, list[tuple[float, float, int | None]]](list)
    for (channel, start, end), speaker in first.items():
        found[channel].append((start, end, speaker))
    for places in found.values():
        places.sort(key=lambda each: each[:2])
    return found
