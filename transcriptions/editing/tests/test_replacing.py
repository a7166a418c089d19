"""Segments that are corrected, divided, joined, inserted and deleted."""

from __future__ import annotations

from typing import Any

import pytest

from transcriptions.editing.replacing import NewSegment, Replacement, replace_segments
from transcriptions.exceptions import EditConflict, UnknownSpeaker, WrongState
from transcriptions.indexing.search import parse
from transcriptions.models import SearchEntry, Segment, State, Transcription
from transcriptions.testing import set_state
from transcriptions.testing import texts as segment_texts

pytestmark = pytest.mark.django_db(transaction=True)


def put(row: Transcription, first: int, last: int, *texts: str, **more: Any) -> None:
    replace_segments(row, [Replacement(first, last, [NewSegment(text) for text in texts], **more)])


def numbers(row: Transcription) -> list[int]:
    return list(row.segments.values_list("number", flat=True))


def times(row: Transcription) -> list[tuple[str, float]]:
    """Each word with its start."""
    words = row.segments.values_list("words", flat=True)
    return [(word["text"], word["start"]) for segment in words for word in segment]


def found(row: Transcription, text: str) -> list[int]:
    """The numbers of the segments that the search index finds for a word."""
    rows = Transcription.objects.all()
    assert rows.filter(*parse(rows, text).conditions()).exists()
    stem = text[:4]
    entries = SearchEntry.objects.filter(transcription=row, number__gt=0)
    return [entry.number for entry in entries.order_by("number") if stem in str(entry.vector)]


def test_divided_segment_keeps_the_times_of_its_words(transcript: Transcription) -> None:
    before, texts = times(transcript), segment_texts(transcript)
    words = texts[1].split()
    put(transcript, 2, 2, words[0], " ".join(words[1:]))
    assert segment_texts(transcript) == [texts[0], words[0], " ".join(words[1:]), *texts[2:]]
    assert numbers(transcript) == [1, 2, 3, 4, 5, 6]
    assert times(transcript) == before
    second, third = transcript.segments.filter(number__in=[2, 3])
    assert second.end <= third.start == third.words[0]["start"]
    assert second.recognized is None  # nobody has changed the recognized words


def test_joined_segments_have_the_words_of_both(transcript: Transcription) -> None:
    before, texts = times(transcript), segment_texts(transcript)
    put(transcript, 2, 3, f"{texts[1]} {texts[2]}")
    assert segment_texts(transcript) == [texts[0], f"{texts[1]} {texts[2]}", *texts[3:]]
    assert numbers(transcript) == [1, 2, 3, 4]
    assert times(transcript) == before


def test_search_finds_renumbered_segments(transcript: Transcription) -> None:
    put(transcript, 1, 1, "Zebras graze.", "Quietly.", "All day.")
    put(transcript, 7, 7, "Walruses sleep.")
    put(transcript, 2, 3)
    assert numbers(transcript) == [1, 2, 3, 4, 5]
    assert found(transcript, "zebras") == [1]
    assert found(transcript, "walruses") == [5]
    entries = SearchEntry.objects.filter(transcription=transcript).order_by("number")
    assert [entry.number for entry in entries] == [0, 1, 2, 3, 4, 5]  # 0: the title


def test_inserted_segment_has_the_time_of_the_pause(transcript: Transcription) -> None:
    first, second = transcript.segments.all()[:2]
    put(transcript, 2, 1, "Overheard before.")
    inserted = transcript.segments.get(number=2)
    assert (inserted.start, inserted.text) == (first.end, "Overheard before.")
    assert first.end <= inserted.end <= max(first.end, second.start)
    assert inserted.recognized == []


def test_deleted_segment_can_be_recognized_again_without_it(transcript: Transcription) -> None:
    texts = segment_texts(transcript)
    heard = transcript.segments.get(number=2).words
    put(transcript, 2, 2)
    assert segment_texts(transcript) == [texts[0], *texts[2:]]
    first = transcript.segments.get(number=1)
    assert first.recognized == [*first.words, *heard]


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        ({2: "Nobody saw it.", 3: ""}, [0, "Nobody saw it.", 3, 4]),
        ({1: "", 2: "Nobody saw it."}, ["Nobody saw it.", 2, 3, 4]),
        ({1: "", 3: ""}, [1, 3, 4]),
        ({1: "", 2: "", 4: "", 5: "They looked."}, [2, "They looked."]),
    ],
)
def test_deletion_keeps_other_changes_of_the_request(
    transcript: Transcription, edits: dict[int, str], expected: list[int | str]
) -> None:
    """As when all matches are replaced, and some segments have no other text."""
    texts, heard = segment_texts(transcript), [word for word, _ in times(transcript)]
    new = [
        Replacement(n, n, [NewSegment(text)] if text else [], [texts[n - 1]])
        for n, text in edits.items()
    ]
    replace_segments(transcript, new)
    assert segment_texts(transcript) == [
        texts[each] if isinstance(each, int) else each for each in expected
    ]
    kept = [each.recognized or each.words for each in transcript.segments.all()]
    assert [word["text"] for words in kept for word in words] == heard


def test_all_segments_can_be_deleted(transcript: Transcription) -> None:
    put(transcript, 1, 5)
    assert not transcript.segments.exists()
    put(transcript, 1, 0, "Everything is new.")
    assert segment_texts(transcript) == ["Everything is new."]


def test_changed_text_keeps_what_was_heard(transcript: Transcription) -> None:
    heard = transcript.segments.get(number=3).words
    put(transcript, 3, 3, "Something else", "was said.")
    third, fourth = transcript.segments.filter(number__in=[3, 4])
    assert [*(third.recognized or ()), *(fourth.recognized or ())] == heard


def test_several_replacements_count_as_before_the_edit(transcript: Transcription) -> None:
    texts = segment_texts(transcript)
    replace_segments(
        transcript,
        [
            Replacement(1, 2, [NewSegment("One and two.")]),
            Replacement(4, 3, [NewSegment("Between.")]),
            Replacement(5, 5, [NewSegment("Five."), NewSegment("Six.")]),
        ],
    )
    expected = ["One and two.", texts[2], "Between.", texts[3], "Five.", "Six."]
    assert segment_texts(transcript) == expected
    assert numbers(transcript) == [1, 2, 3, 4, 5, 6]


def test_new_speaker_has_all_words_of_the_segment(transcript: Transcription) -> None:
    text = segment_texts(transcript)[0]
    replace_segments(transcript, [Replacement(1, 1, [NewSegment(text, speaker=1)])])
    first = transcript.segments.get(number=1)
    assert first.speaker == 1
    assert {word["speaker"] for word in first.words} == {1}
    assert list(transcript.speakers.values_list("number", flat=True)) == [1]
    with pytest.raises(UnknownSpeaker):
        replace_segments(transcript, [Replacement(1, 1, [NewSegment(text, speaker=7)])])


def test_text_that_someone_else_has_edited_is_a_conflict(transcript: Transcription) -> None:
    texts = segment_texts(transcript)
    put(transcript, 2, 2, "Edited in another window.")
    with pytest.raises(EditConflict, match=r"Edited in another window\."):
        put(transcript, 1, 2, "Joined.", expected_texts=texts[:2])
    put(transcript, 2, 2, "Edited in another window.", expected_texts=[texts[1]])  # sent twice
    assert transcript.edits.count() == 1


def test_unknown_segments_change_nothing(transcript: Transcription) -> None:
    texts = segment_texts(transcript)
    with pytest.raises(Segment.DoesNotExist):
        replace_segments(
            transcript,
            [Replacement(1, 1, [NewSegment("Changed.")]), Replacement(5, 6, [NewSegment("Gone.")])],
        )
    assert segment_texts(transcript) == texts


def test_text_is_not_edited_while_it_is_recognized(transcript: Transcription) -> None:
    set_state(State.PREPARED)
    with pytest.raises(WrongState):
        put(transcript, 1, 1, "Too early.")


@pytest.mark.parametrize(
    ("state", "end"), [(State.COMPLETED, 60.0), (State.CANCELLED, 44.0), (State.FAILED, 44.0)]
)
def test_segment_at_the_end_covers_only_what_was_recognized(
    transcript: Transcription, state: State, end: float
) -> None:
    """A cancelled recording is resumed at the end of its last segment."""
    assert transcript.segments.last().end == 44.0  # type: ignore[union-attr]
    Transcription.objects.update(duration=60.0)
    set_state(state)
    put(transcript, 6, 5, "And so on.")
    added = transcript.segments.get(number=6)
    assert (added.start, added.end) == (44.0, end)
