"""Which words of a hypothesis are firm."""

from __future__ import annotations

import pytest

from gpu.whisper.decoded import DecodedWord
from gpu.whisper.language import LanguageTracker
from gpu.whisper.live_window import Hypothesis, firm_count


def hypothesis(text: str, end: float = 0.0, probability: float = 0.9) -> Hypothesis:
    """Its words last half a second each; the window ends `end` seconds after the last one."""
    words = [
        DecodedWord(number / 2, number / 2 + 0.5, word, probability=probability)
        for number, word in enumerate(text.split())
    ]
    return Hypothesis(len(words) / 2 + end, words, "en", True, LanguageTracker())


@pytest.mark.parametrize(
    ("before", "now", "count"),
    [
        ("", "", 0),
        ("", "the sun is", 0),
        ("the sun", "the sun is low", 2),
        ("the sun is low", "the sun is low", 3),  # the last word may still change its ending
        ("the sun", "the son is low", 1),
        ("The sun.", "the sun, is low", 2),
        ("the sun is low over", "the sun", 1),
    ],
)
def test_words_of_two_hypotheses_are_firm(before: str, now: str, count: int) -> None:
    assert firm_count(hypothesis(before).words, hypothesis(now, probability=0.1)) == count


def test_probable_words_are_firm_after_a_while() -> None:
    assert firm_count([], hypothesis("the sun is low over the sea")) == 5
    assert firm_count([], hypothesis("the sun is low", end=3)) == 3
    assert firm_count([], hypothesis("the sun is low over the sea", probability=0.3)) == 0
    before = hypothesis("the sun was").words
    assert firm_count(before, hypothesis("the sun is low over the sea")) == 5
