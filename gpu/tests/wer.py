"""Word error rate, after the normalization of texts that Whisper's authors published."""

from __future__ import annotations

import re
from dataclasses import dataclass

from transformers.models.whisper.english_normalizer import (
    BasicTextNormalizer,
    EnglishTextNormalizer,
)

NORMALIZER = "whisper"
# Whisper's normalizers know the numbers of English only. Those of other languages are digits or
# words here, so that "7" and "siete" are the same.
NUMBERS = {
    "es": "cero uno dos tres cuatro cinco seis siete ocho nueve",
    "fr": "zéro un deux trois quatre cinq six sept huit neuf",
    "it": "zero uno due tre quattro cinque sei sette otto nove",
    "ru": "ноль один два три четыре пять шесть семь восемь девять",
}
ENGLISH = EnglishTextNormalizer({})  # British and American spelling are not made the same
OTHERS = BasicTextNormalizer(remove_diacritics=True)


@dataclass(frozen=True, slots=True)
class WordErrors:
    """How many words of a reference were replaced or left out, and how many were added."""

    words: int  # of the reference
    substitutions: int
    deletions: int
    insertions: int

    @property
    def rate(self) -> float:
        """The word error rate."""
        return (self.substitutions + self.deletions + self.insertions) / self.words


def normalize(text: str, language: str = "en") -> list[str]:
    """The words without marks and capital letters, accents (if not English), and fillers."""
    text = text.replace("’", "'")  # noqa: RUF001 - Whisper's normalizers do not know it
    if language != "en":
        numbers = dict(enumerate(NUMBERS.get(language, "").split()))
        text = re.sub(r"\b\d\b", lambda digit: numbers.get(int(digit[0]), digit[0]), text)
    normalized: str = ENGLISH(text) if language == "en" else OTHERS(text)
    return normalized.split()


def word_errors(reference: str, hypothesis: str, language: str = "en") -> WordErrors:
    """The fewest errors that turn one text into the other, both of them normalized."""
    expected, actual = normalize(reference, language), normalize(hypothesis, language)
    # (errors, substitutions, deletions, insertions) from no text to each prefix of `actual`
    row = [(column, 0, 0, column) for column in range(len(actual) + 1)]
    for number, word in enumerate(expected, 1):
        before, row[0] = row[0], (number, 0, number, 0)
        for column, other in enumerate(actual, 1):
            replaced = 1 if word != other else 0
            errors, s, d, i = before
            before = row[column]
            row[column] = min(
                (errors + replaced, s + replaced, d, i),
                (before[0] + 1, before[1], before[2] + 1, before[3]),
                (row[column - 1][0] + 1, *row[column - 1][1:3], row[column - 1][3] + 1),
            )
    return WordErrors(len(expected), *row[-1][1:])


def word_error_rate(reference: str, hypothesis: str) -> float:
    """Replaced, missing and added words per word of the reference, both of them normalized."""
    return word_errors(reference, hypothesis).rate
