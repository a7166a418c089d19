"""Two texts are matched word by word, in linear time."""

from __future__ import annotations

import random
from difflib import SequenceMatcher
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcriptions.editing import matching
from transcriptions.editing.matching import MAX_DEPTH, MAX_PAIRS, Times, blocks

LONG = 27_000  # words: about three hours of speech
TEXTS = st.lists(st.sampled_from("abcdefgh"), max_size=30)


def spoken(count: int) -> list[str]:
    """Words that are repeated as often as those of a natural language."""
    generator = random.Random(1)
    return [f"w{int(generator.paretovariate(0.9))}" for _ in range(count)]


def changed(words: list[str], share: float) -> list[str]:
    """The same with some words replaced, left out, or added."""
    generator = random.Random(2)
    new = list[str]()
    for word in words:
        kind = generator.random() / share
        new += [word] if kind >= 1 else [[f"x{word}"], [], [word, "new"]][int(3 * kind)]
    return new


@given(TEXTS, TEXTS)
def test_every_word_is_in_one_block_in_order(old: list[str], new: list[str]) -> None:
    found = list(blocks(old, new))
    assert [word for b in found for word in old[b.old1 : b.old2]] == old
    assert [word for b in found for word in new[b.new1 : b.new2]] == new
    for block in found:
        if block.is_equal:
            assert old[block.old1 : block.old2] == new[block.new1 : block.new2]


@given(TEXTS, st.data())
def test_divided_texts_are_matched_too(old: list[str], data: Any) -> None:
    """With limits so low that every text is divided, also by time."""
    new = data.draw(TEXTS)
    times = Times([float(n) for n in range(len(old))], [float(n) for n in range(len(new))])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "MAX_PAIRS", 4)
        found = list(blocks(old, new, data.draw(st.sampled_from([None, times]))))
    assert [word for b in found for word in old[b.old1 : b.old2]] == old
    assert [word for b in found for word in new[b.new1 : b.new2]] == new
    assert all(old[b.old1 : b.old2] == new[b.new1 : b.new2] for b in found if b.is_equal)


class CountingMatcher(SequenceMatcher):  # type: ignore[type-arg]
    """Records how many pairs of words are compared."""

    pairs: list[int] = []

    def __init__(self, junk: None, old: list[str], new: list[str], auto: bool) -> None:
        self.pairs.append(len(old) * len(new))
        super().__init__(junk, old, new, auto)


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    monkeypatch.setattr(CountingMatcher, "pairs", [])
    monkeypatch.setattr(matching, "SequenceMatcher", CountingMatcher)
    return CountingMatcher.pairs


def test_three_hours_with_five_percent_of_changes_are_matched_completely(
    compared: list[int],
) -> None:
    old = spoken(LONG)
    new = changed(old, 0.05)
    equal = sum(block.old2 - block.old1 for block in blocks(old, new) if block.is_equal)
    assert equal > 0.96 * LONG  # 3.3 % were replaced or left out
    assert sum(compared) < 100 * LONG  # of 729 million pairs


REPETITIVE = {
    "two words": (["no"] * LONG, ["no", "oh"] * (LONG // 2)),
    "every second word is another": (
        [f"{letter}{n}" for n in range(LONG // 2) for letter in "xa"],
        [f"{letter}{n}" for n in range(LONG // 2) for letter in "xb"],
    ),
    "the other way round": (
        [f"x{n}" for n in range(LONG)],
        [f"x{n}" for n in reversed(range(LONG))],
    ),
    "phrases in another order": (["a", "b"] * (LONG // 2), ["b", "a", "c"] * (LONG // 3)),
}


@pytest.mark.covers("attack", "A text whose comparison word by word would take hours")
@pytest.mark.parametrize("name", REPETITIVE)
def test_no_text_is_compared_with_all_of_another(name: str, compared: list[int]) -> None:
    old, new = REPETITIVE[name]
    assert sum(block.old2 - block.old1 for block in blocks(old, new)) == LONG
    assert sum(compared) <= MAX_DEPTH * MAX_PAIRS


def test_times_decide_where_texts_repeat_themselves() -> None:
    old = ["la"] * 2000 + ["x"] + ["la"] * 2000
    new = ["la"] * 1998 + ["y"] + ["la"] * 1990
    times = Times([float(n) for n in range(len(old))], [float(n) + 2 for n in range(len(new))])
    equal = sum(block.old2 - block.old1 for block in blocks(old, new, times) if block.is_equal)
    assert equal > 3800
