"""Speakers who are detected again keep their names if they are the same."""

from __future__ import annotations

from typing import Any

import pytest

from transcriptions.editing.speaker_names import match_speakers, names_by_talk


def talk(speakers: str, offset: float = 0.0, length: float = 1.0) -> list[dict[str, Any]]:
    """A word for each digit, the number of its speaker; 0 is not known."""
    words = []
    for position, digit in enumerate(speakers):
        start = offset + position * length
        word: dict[str, Any] = {"start": start, "end": start + 0.9 * length, "text": "Yes"}
        words.append(word | ({"speaker": int(digit)} if digit != "0" else {}))
    return words


@pytest.mark.parametrize(
    ("earlier", "later", "matches"),
    [
        ("1122", "1122", {1: 1, 2: 2}),
        ("1122", "2211", {2: 1, 1: 2}),  # other numbers
        ("1122", "1133", {1: 1, 3: 2}),
        ("1111", "1112", {1: 1}),  # one speaker was split: the one who talks more keeps the name
        ("1112", "1111", {1: 1}),  # two are one now
        ("1233", "1111", {1: 3}),  # half of the talk is enough
        ("1230", "1111", {}),  # mostly somebody else
        ("0000", "1122", {}),
        ("0010", "1222", {2: 1}),  # known from one sentence only
        ("1020", "1111", {1: 1}),
        ("1122", "0000", {}),
        ("", "12", {}),
        ("3121121", "1232232", {1: 3, 2: 1, 3: 2}),
    ],
)
def test_speakers_match_by_the_time_in_which_both_talk(
    earlier: str, later: str, matches: dict[int, int]
) -> None:
    assert match_speakers(talk(earlier), talk(later)) == matches


def test_words_need_not_be_the_same() -> None:
    earlier = talk("1122", offset=0.1)
    assert match_speakers(earlier, talk("33334444", length=0.5)) == {3: 1, 4: 2}


def test_words_of_separate_channels_overlap_and_are_in_no_order() -> None:
    channels = [*talk("1111"), *talk("2222", offset=0.2)]
    assert match_speakers(channels, reversed(channels)) == {1: 1, 2: 2}


def test_only_names_that_people_gave_are_kept() -> None:
    names = {2: "Anna"}
    assert names_by_talk(names, talk("1122"), talk("2211")) == {1: "Anna"}
    assert names_by_talk({}, talk("1122"), talk("2211")) == {}
