"""The word error rate: what is a mistake, and what is only another spelling."""

from __future__ import annotations

import pytest

from gpu.tests.wer import word_error_rate


@pytest.mark.parametrize(
    ("reference", "hypothesis", "rate"),
    [
        ("the cat sat down", "the cat sat down", 0),
        ("the cat sat down", "the hat sat down", 0.25),
        ("the cat sat down", "the cat down", 0.25),
        ("the cat sat down", "the cat it sat down", 0.25),
        ("the cat sat down", "", 1),
        ("the cat", "the cat the cat the cat", 2),
        ("one two three four", "two three four five", 0.5),
        ("Well, it’s DONE.", "well it's done", 0),  # noqa: RUF001
        ("it's", "its", 1),
        ("Straße zur Mühle", "strasse zur mühle", 1 / 3),
    ],
)
def test_word_error_rate_counts_replaced_missing_and_added_words(
    reference: str, hypothesis: str, rate: float
) -> None:
    assert word_error_rate(reference, hypothesis) == pytest.approx(rate)
