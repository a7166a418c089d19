"""Words of a corrected segment keep their times, or get plausible ones."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcriptions.editing import matching
from transcriptions.editing.alignment import realign_words

WORDS = [
    {"start": 1.0, "end": 1.4, "text": "We"},
    {"start": 1.5, "end": 2.0, "text": "met"},
    {"start": 2.2, "end": 2.6, "text": "Jon"},
    {"start": 2.6, "end": 3.0, "text": "today."},
]


def times(words: list[dict[str, Any]]) -> list[tuple[str, float, float]]:
    return [(word["text"], word["start"], word["end"]) for word in words]


def expected(text: str, *edges: float) -> list[tuple[str, float, float]]:
    """Words with their starts and ends."""
    return [*zip(text.split(), edges[::2], edges[1::2], strict=True)]


@pytest.mark.parametrize(
    ("text", "edges"),
    [
        ("We met Jon today.", (1, 1.4, 1.5, 2, 2.2, 2.6, 2.6, 3)),
        ("we met John, today!", (1, 1.4, 1.5, 2, 2.2, 2.6, 2.6, 3)),
        ("We met today.", (1, 1.4, 1.5, 2, 2.6, 3)),
        ("We met J. on today.", (1, 1.4, 1.5, 2, 2.2, 2.4, 2.4, 2.6, 2.6, 3)),
        ("We met up Jon today.", (1, 1.4, 1.5, 2, 2, 2.2, 2.2, 2.6, 2.6, 3)),
        ("So we met Jon today.", (1, 1, 1, 1.4, 1.5, 2, 2.2, 2.6, 2.6, 3)),
        ("Nothing like it.", (1, 2, 2, 2.571, 2.571, 3)),
    ],
)
def test_unchanged_words_keep_times_and_new_ones_share_the_replaced_time(
    text: str, edges: tuple[float, ...]
) -> None:
    assert times(realign_words(WORDS, text, 1.0, 3.0)) == expected(text, *edges)


def test_words_keep_the_speaker_of_the_word_in_whose_place_they_are() -> None:
    words = [
        {"start": 0.0, "end": 0.4, "text": "Coming?", "speaker": 1},
        {"start": 0.4, "end": 0.8, "text": "Know.", "speaker": 2},
        {"start": 0.8, "end": 1.2, "text": "Why?", "speaker": 1},
    ]
    found = realign_words(words, "Coming? No. Why not?", 0.0, 1.5)
    assert [word["speaker"] for word in found] == [1, 2, 1, 1]


def test_unchanged_words_keep_their_probability_and_all_words_the_channel() -> None:
    words = [
        {"start": 0.0, "end": 0.4, "text": "Good", "probability": 0.9, "channel": 1},
        {"start": 0.4, "end": 0.9, "text": "mourning.", "probability": 0.3, "channel": 1},
    ]
    assert realign_words(words, "good morning all.", 0.0, 1.0) == [
        {"start": 0.0, "end": 0.4, "text": "good", "probability": 0.9, "channel": 1},
        {"start": 0.4, "end": 0.718, "text": "morning", "channel": 1},
        {"start": 0.718, "end": 0.9, "text": "all.", "channel": 1},
    ]


def test_segment_without_words_divides_its_whole_time() -> None:
    assert times(realign_words([], "One two", 0.0, 2.0)) == [("One", 0, 1), ("two", 1, 2)]


def test_script_without_spaces_is_aligned_by_character() -> None:
    words = [
        {"start": 0.0, "end": 1.0, "text": "今天"},
        {"start": 1.0, "end": 2.0, "text": "好", "no_space_before": True},
    ]
    new = realign_words(words, "今日好", 0.0, 2.0)
    assert times(new) == [("今", 0, 0.5), ("日", 0.5, 1), ("好", 1, 2)]
    assert [word.get("no_space_before", False) for word in new] == [False, True, True]


@pytest.mark.parametrize(("old", "new"), [("no ", "no oh "), ("あ", "あい")])
def test_repetitive_text_is_aligned_without_quadratic_comparison(
    monkeypatch: pytest.MonkeyPatch, old: str, new: str
) -> None:
    words = realign_words([], (old * 5000)[:5000], 0.0, 20.0)
    # The time of SequenceMatcher grows with the pairs of equal words: millions here.
    monkeypatch.delattr(matching, "SequenceMatcher")
    realigned = realign_words(words, (new * 5000)[:5000], 0.0, 20.0)
    edges = [edge for word in realigned for edge in (word["start"], word["end"])]
    assert edges == sorted(edges)
    assert len(realigned) > 1000


def test_word_added_to_a_long_text_leaves_all_other_times() -> None:
    text = " ".join(f"word{n}" for n in range(500))
    words = realign_words([], text, 0.0, 500.0)
    new = realign_words(words, text.replace("word250 ", "word250 and "), 0.0, 500.0)
    assert [word for word in new if word["text"] != "and"] == words


def test_changes_far_apart_keep_times_in_script_without_spaces() -> None:
    text = "".join(chr(0x4E00 + 7 * n % 300) for n in range(400))
    words = realign_words([], text, 0.0, 400.0)
    new = realign_words(words, "\u3042" + text + "\u3042", 0.0, 400.0)
    far = realign_words(words, text[:3] + "\u3042" + text[3:-3] + "\u3042" + text[-3:], 0.0, 400.0)
    for realigned in (new, far):
        unchanged = [(w["start"], w["end"], w["text"]) for w in realigned if w["text"] != "\u3042"]
        assert unchanged == [(w["start"], w["end"], w["text"]) for w in words]


@given(
    st.lists(st.sampled_from(["a", "b", "c.", "D", "日"]), min_size=1, max_size=12), st.randoms()
)
def test_times_stay_in_order_and_within_the_segment(text: list[str], random: Any) -> None:
    words = [
        {"start": float(n), "end": n + 0.5, "text": random.choice("abcde")}
        for n in range(random.randint(0, 6))
    ]
    new = realign_words(words, " ".join(text), 0.0, 10.0)
    assert " ".join(word["text"] for word in new) == " ".join(text)
    edges = [edge for word in new for edge in (word["start"], word["end"])]
    assert edges == sorted(edges)
    assert edges[0] >= 0
    assert edges[-1] <= 10
