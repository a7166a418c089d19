"""Undo, redo and earlier versions restore exactly what was there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from transcriptions.editing.imported import Cue, Imported
from transcriptions.editing.imports import import_text
from transcriptions.editing.log import MAX_EDITS, Done, names_of, redo, revision_of, undo
from transcriptions.editing.replacing import NewSegment, Replacement, replace_segments
from transcriptions.editing.service import correct
from transcriptions.editing.snapshots import snapshots
from transcriptions.editing.speakers import Part, assign, merge_speakers, name_speaker
from transcriptions.editing.versions import passages, restore, versions
from transcriptions.exceptions import NothingToUndo, UnknownVersion
from transcriptions.models import EditKind, Transcription, Voice, VoiceUse
from transcriptions.testing import texts as segment_texts

pytestmark = pytest.mark.django_db(transaction=True)


def state(row: Transcription) -> Any:
    """All that an edit can change."""
    listed = list(row.segments.values_list("number", flat=True))
    assert listed == list(range(1, len(listed) + 1))
    return snapshots(row), names_of(row)


def change_everything(row: Transcription) -> list[Any]:
    """Make one change of each kind. Return the states before each, and the last one."""
    texts = segment_texts(row)
    changes = [
        lambda: correct(row, 1, "Something else."),
        lambda: replace_segments(row, [Replacement(2, 3, [NewSegment(" ".join(texts[1:3]))])]),
        lambda: assign(row, [Part(2)], 1),
        lambda: name_speaker(row, 1, "Anna"),
        lambda: assign(row, [Part(3)], 2),
        lambda: merge_speakers(row, 2, 1),
        lambda: replace_segments(
            row, [Replacement(1, 1, []), Replacement(4, 3, [NewSegment("E")])]
        ),
        lambda: import_text(row, Imported([Cue(0, 0, "All is new.")], False), force=True),
    ]
    states = [state(row)]
    for change in changes:
        change()
        states.append(state(row))
    assert all(a != b for a, b in pairwise(states))
    return states


def test_each_change_can_be_undone_and_made_again(transcript: Transcription) -> None:
    states = change_everything(transcript)
    for expected in states[-2::-1]:
        done = undo(transcript)
        assert done.position.can_redo
        assert state(transcript) == expected
    assert not done.position.can_undo
    with pytest.raises(NothingToUndo):
        undo(transcript)
    for expected in states[1:]:
        done = redo(transcript)
        assert done.position.can_undo
        assert state(transcript) == expected
    assert not done.position.can_redo
    with pytest.raises(NothingToUndo):
        redo(transcript)


def test_new_change_ends_what_can_be_made_again(transcript: Transcription) -> None:
    correct(transcript, 1, "First.")
    correct(transcript, 1, "Second.")
    undo(transcript)
    correct(transcript, 2, "Third.")
    with pytest.raises(NothingToUndo):
        redo(transcript)
    undo(transcript)
    undo(transcript)
    redo(transcript)
    assert segment_texts(transcript)[0] == "First."


def test_change_is_shown_by_the_segments_that_are_new(transcript: Transcription) -> None:
    def replay(done: Done) -> None:
        for first, count, new in reversed(done.replaced):
            shown[first - 1 : first - 1 + count] = [each["text"] for each in new]

    shown = segment_texts(transcript)
    changes = [
        Replacement(1, 2, [NewSegment("A")]),
        Replacement(4, 4, [NewSegment(t) for t in "BC"]),
    ]
    steps: list[Callable[[Transcription], Done]] = [
        partial(replace_segments, replacements=changes),
        undo,
        redo,
    ]
    for revision, step in enumerate(steps, 1):
        done = step(transcript)
        replay(done)
        assert done.position.revision == revision == revision_of(transcript)
    assert shown == segment_texts(transcript)


def test_every_version_can_be_restored(transcript: Transcription) -> None:
    states = change_everything(transcript)
    last = revision_of(transcript)
    for revision, expected in enumerate(states):
        restore(transcript, revision)
        assert state(transcript) == expected
    restore(transcript, last)
    undo(transcript)  # a restored version is a change, too
    assert state(transcript) == states[-2]
    with pytest.raises(UnknownVersion):
        restore(transcript, 1000)


def test_versions_are_sessions_of_work(transcript: Transcription) -> None:
    correct(transcript, 1, "First.")
    correct(transcript, 1, "Second.")
    correct(transcript, 2, "Third.")
    transcript.edits.filter(revision=3).update(created_at=timezone.now() + timedelta(hours=1))
    assert [(v.revision, v.edits, v.kinds) for v in versions(transcript)] == [
        (3, 1, (EditKind.TEXT,)),
        (2, 2, (EditKind.TEXT,)),
        (0, 0, ()),
    ]


def test_comparison_shows_words_and_speakers(transcript: Transcription) -> None:
    correct(transcript, 1, "It was a sunny morning.")
    correct(transcript, 1, "It was a rainy morning.")
    name_speaker_of(transcript, 3, "Anna")
    first, second = passages(transcript, 1)
    assert (first.start, second.start) == (0.5, 20.5)
    assert [(text.kind, text.text) for text in first.texts] == [
        ("same", "It was a"),
        ("removed", "sunny"),
        ("added", "rainy"),
        ("same", "morning."),
    ]
    assert second.speakers == ("", "Anna")
    assert passages(transcript, revision_of(transcript)) == []


def name_speaker_of(row: Transcription, number: int, name: str) -> None:
    assign(row, [Part(number)], 1)
    name_speaker(row, 1, name)


def test_oldest_changes_are_forgotten(
    transcript: Transcription, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MAX_EDITS >= 1000
    monkeypatch.setattr("transcriptions.editing.log.MAX_EDITS", 3)
    for number in range(6):
        correct(transcript, 1, f"Text {number}.")
    assert list(transcript.edits.values_list("revision", flat=True)) == [4, 5, 6]
    assert [version.revision for version in versions(transcript)] == [6, 3]
    with pytest.raises(UnknownVersion):
        passages(transcript, 2)
    restore(transcript, 3)
    assert segment_texts(transcript)[0] == "Text 2."


CHANGES = st.lists(
    st.tuples(
        st.integers(0, 3),  # segments before it
        st.integers(0, 3),  # that are replaced
        st.lists(st.sampled_from(["It was dark.", "Where?", "boat for hours"]), max_size=3),
    ),
    min_size=1,
    max_size=3,
)


def replacements(changes: list[tuple[int, int, list[str]]], count: int) -> list[Replacement]:
    """Those replacements that fit into a transcript with `count` segments."""
    found, first = list[Replacement](), 1
    for before, length, new in changes:
        first += before
        last = first + length - 1
        if last <= count and first <= count + 1 and (length or new):
            found.append(Replacement(first, last, [NewSegment(text) for text in new]))
        first += max(1, length)
    return found


def words_heard(row: Transcription) -> list[str]:
    """The recognized words, also those in segments whose text was edited."""
    segments = row.segments.values_list("recognized", "words")
    return [
        word["text"]
        for recognized, words in segments
        for word in (words if recognized is None else recognized)
    ]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(edits=st.lists(CHANGES, min_size=1, max_size=3))
def test_any_edit_can_be_undone(
    transcript: Transcription, edits: list[list[tuple[int, int, list[str]]]]
) -> None:
    states = {revision_of(transcript): state(transcript)}
    for changes in edits:
        present = segment_texts(transcript)
        new = replacements(changes, len(present))
        if new:
            heard = words_heard(transcript)
            replace_segments(transcript, new)
            states[revision_of(transcript)] = state(transcript)
            for each in reversed(new):
                present[each.first - 1 : each.last] = [segment.text for segment in each.segments]
            assert segment_texts(transcript) == present
            assert words_heard(transcript) == (heard if present else [])
    for expected in list(states.values())[-2::-1]:
        undo(transcript)
        assert state(transcript) == expected
    for revision, expected in states.items():
        restore(transcript, revision)
        assert state(transcript) == expected


def test_undone_merge_leaves_no_voice_with_another_person(transcript: Transcription) -> None:
    assign(transcript, [Part(1)], 1)
    assign(transcript, [Part(2)], 2)
    name_speaker(transcript, 2, "Anna")
    anna = Voice.objects.create(owner=transcript.owner, name="Anna")
    transcript.speakers.filter(number=2).update(voice=anna, voice_use=VoiceUse.LEARNED)
    merge_speakers(transcript, 2, 1)
    speaker = transcript.speakers.get()
    assert (speaker.number, speaker.name, speaker.voice) == (1, "Anna", anna)
    undo(transcript)
    assert names_of(transcript) == {"1": "", "2": "Anna"}
    assert not transcript.speakers.exclude(voice=None, voice_use=VoiceUse.NONE).exists()


@pytest.mark.parametrize("use", [VoiceUse.LEARNED, VoiceUse.RECOGNIZED])
def test_undone_correction_of_a_name_keeps_a_learned_voice(
    transcript: Transcription, use: VoiceUse
) -> None:
    assign(transcript, [Part(1)], 1)
    name_speaker(transcript, 1, "Ana")
    name_speaker(transcript, 1, "Anna")
    anna = Voice.objects.create(owner=transcript.owner, name="Anna")
    transcript.speakers.update(voice=anna, voice_use=use)
    undo(transcript)
    speaker = transcript.speakers.get()
    kept = anna if use == VoiceUse.LEARNED else None  # it was not the name of who was recognized
    assert (speaker.name, speaker.voice) == ("Ana", kept)
