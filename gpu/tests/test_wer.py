"""The word error rate: what is a mistake, and what is only another spelling."""

from __future__ import annotations

import pytest

from gpu.tests.wer import WordErrors, word_error_rate, word_errors


@pytest.mark.parametrize(
    ("reference", "hypothesis", "rate"),
    [
        ("the cat sat down", "the cat sat down", 0),
        ("the cat sat down", "the hat sat down", 0.25),
        ("the cat sat down", "the cat down", 0.25),
        ("the cat sat down", "the cat it sat down", 0.25),
        ("the cat sat down", "", 1),
        ("the cat", "the cat the cat the cat", 2),
        ("the cat sat down", "cat sat down there", 0.5),
        ("Well, it’s DONE.", "well it's done", 0),  # noqa: RUF001
        ("it's", "it is", 0),
        ("Press one, then twenty-two.", "press 1 then 22", 0),
        ("its", "it's", 2),
    ],
)
def test_word_error_rate_counts_replaced_missing_and_added_words(
    reference: str, hypothesis: str, rate: float
) -> None:
    assert word_error_rate(reference, hypothesis) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("hypothesis", "errors"),
    [
        ("the cat sat down", (4, 0, 0, 0)),
        ("the hat sat down", (4, 1, 0, 0)),
        ("the cat down", (4, 0, 1, 0)),
        ("the cat it sat down", (4, 0, 0, 1)),
        ("a hat sat", (4, 2, 1, 0)),
        ("", (4, 0, 4, 0)),
    ],
)
def test_errors_are_counted_by_their_kind(
    hypothesis: str, errors: tuple[int, int, int, int]
) -> None:
    assert word_errors("the cat sat down", hypothesis) == WordErrors(*errors)


@pytest.mark.parametrize(
    ("language", "reference", "hypothesis"),
    [
        ("es", "El numero es siete u ocho", "El número es 7 u 8."),
        ("fr", "un numéro suivi du dièse", "Un numero, suivi du DIESE"),
        ("de", "Gleis 7 und 8", "gleis 7 und 8"),
    ],
)
def test_accents_and_digits_are_no_errors(language: str, reference: str, hypothesis: str) -> None:
    assert word_errors(reference, hypothesis, language).rate == 0
    assert word_errors(reference, f"{hypothesis} no", language).insertions == 1
