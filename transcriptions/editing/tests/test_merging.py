"""Edits of an earlier transcript are kept in a later one: a three-way merge of words."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from transcriptions.editing.alignment import StoredWord
from transcriptions.editing.merging import Edit, Merge, drafts_of, edits_of
from transcriptions.editing.placing import Heard, Placed
from transcriptions.editing.tests.test_matching import LONG, changed, spoken


def words(texts: list[str], offset: float = 0.0) -> list[StoredWord]:
    return [
        {"start": n + offset, "end": n + offset + 0.5, "text": text} for n, text in enumerate(texts)
    ]


def heard(texts: list[str], offset: float = 0.0, length: int = 4) -> list[Heard]:
    """Words in segments of the given numbers of words."""
    return [Heard(w, "en", 1 + n // length) for n, w in enumerate(words(texts, offset))]


def merged(base: list[str], edited: list[str], later: list[str]) -> list[Placed]:
    edits = list(edits_of(0, base, words(edited)))
    return Merge.of(heard(base), edits, heard(later, 0.1), len(later) + 1.0).placed()


def show(placed: list[Placed]) -> str:
    """The text; conflicts as `edited{recognized}`."""
    parts = [
        each.word["text"] + (f"{{{each.alternative}}}" if each.alternative is not None else "")
        for each in placed
    ]
    return " ".join(parts)


def example(base: str, edited: str, later: str) -> str:
    return show(merged(base.split(), edited.split(), later.split()))


def test_edit_is_kept_and_the_rest_is_recognized_again() -> None:
    assert example("we met jon too day", "we met John too day", "We met jon today") == (
        "We met John today"
    )


def test_edit_in_a_passage_that_changed_is_a_conflict() -> None:
    assert example("we met jon today", "we met John today", "we met june today") == (
        "we met John{june} today"
    )


def test_recognition_that_agrees_with_the_edit_is_no_conflict() -> None:
    placed = merged(
        ["we", "met", "jon", "today"],
        ["we", "met", "John", "today"],
        ["we", "met", "John", "today"],
    )
    assert show(placed) == "we met John today"
    assert not any(each.is_edited for each in placed)


def test_punctuation_is_an_edit_but_no_conflict() -> None:
    assert example("so we met", "So, we met!", "so we met") == "So, we met!"


def test_edit_keeps_the_whole_passage_that_changed() -> None:
    assert example("a b c d e", "a b x d e", "a q d e") == "a b{q} x{} d e"


def test_added_and_deleted_words_are_edits() -> None:
    assert example("a b c d", "a new b c d", "a b c e") == "a new b c e"
    assert example("a um b c d", "a b c d", "a um b c e") == "a b c e"
    assert example("a um b c", "a b c", "a uh b c") == "a{a uh} b c"
    assert example("um a b c", "a b c", "um a b c") == "um a b c"  # no word stores it


def test_edit_at_an_insertion_is_a_conflict_only_in_the_same_place() -> None:
    assert example("a b c", "a B2 c", "a b new c") == "a B2 new c"
    assert example("a b c", "a mine b c", "a yours b c") == "a mine{yours} b c"


def test_edits_get_the_times_of_the_later_words() -> None:
    placed = merged(["we", "met", "jon"], ["we", "met", "John"], ["so", "we", "met", "jon"])
    assert [(each.word["text"], each.word["start"]) for each in placed][-1] == ("John", 3.1)
    assert [word["text"] for word in placed[-1].heard] == ["jon"]


def test_segments_are_those_of_the_later_recognition() -> None:
    later = ["one", "two", "three", "four", "five", "six", "seven", "eight"]
    placed = merged(later, ["one", "two.", "And", *later[3:]], later)
    drafts = drafts_of(placed, 2)
    assert drafts
    assert [draft.text for draft in drafts] == ["one two.", "And four", "five six seven eight"]
    assert [draft.recognized is None for draft in drafts] == [False, False, True]


def test_as_many_segments_as_before_although_words_were_deleted() -> None:
    later = ["one", "two", "three", "four", "five", "six", "seven", "eight"]
    placed = merged(later, later[:4], later)
    drafts = drafts_of(placed, 2)
    assert drafts
    assert [draft.text for draft in drafts] == ["one two", "three four"]
    assert drafts_of(placed, 5) is None


def test_conflict_stays_in_one_segment_with_the_text_of_both() -> None:
    base = ["one", "two", "three", "four", "five", "six", "seven", "eight"]
    edited = [*base[:3], "mine.", "Mine", *base[5:]]
    later = [*base[:3], "yours", "too", *base[5:]]
    drafts = drafts_of(merged(base, edited, later), 2)
    assert drafts
    assert [(draft.text, draft.conflict) for draft in drafts] == [
        ("one two three mine. Mine", "one two three yours too"),
        ("six seven eight", ""),
    ]


TEXTS = st.lists(st.sampled_from(["a", "b", "c.", "D", "日"]), max_size=12)


@given(TEXTS, TEXTS, TEXTS)
def test_what_always_holds(base: list[str], edited: list[str], later: list[str]) -> None:
    placed = merged(base, edited, later)
    remembered = [word for each in placed for word in each.heard]
    assert remembered == words(later, 0.1)  # each once, in order: it can be merged again
    edges = [edge for each in placed for edge in (each.word["start"], each.word["end"])]
    assert edges == sorted(edges)
    numbers = [each.segment for each in placed]
    assert numbers == sorted(numbers)
    if drafts := drafts_of(placed, 1):
        assert [w for draft in drafts for w in draft.words] == [each.word for each in placed]


@given(TEXTS.filter(bool), TEXTS)
def test_without_edits_it_is_the_later_text(base: list[str], later: list[str]) -> None:
    assert show(merged(base, base, later)) == " ".join(later)


@given(TEXTS.filter(bool), TEXTS)
def test_with_the_same_recognition_it_is_the_edited_text(base: list[str], rest: list[str]) -> None:
    edited = [base[0], *rest]  # a word stores what is deleted after it
    assert show(merged(base, edited, base)) == " ".join(edited)


def test_three_hours_are_merged() -> None:
    base = spoken(LONG)
    edits = [Edit(n, n + 1, words([f"edit{n}"])) for n in range(0, LONG, 100)]
    merge = Merge.of(heard(base), edits, heard(changed(base, 0.05)), 2.0 * LONG)
    placed = merge.placed()
    texts = [each.word["text"] for each in placed]
    assert [text for text in texts if text.startswith("edit")] == [
        edit.words[0]["text"] for edit in edits
    ]
    conflicts = sum(bool(each.alternative) for each in placed)
    assert 0 < conflicts < 0.1 * len(edits)


def test_other_recordings_share_few_words() -> None:
    def share(one: list[str], other: list[str]) -> Any:
        return Merge.of(heard(one), [], heard(other), 9.0).matching_share

    assert share(["a", "b", "c"], ["x", "b", "y", "z"]) == 0.25
