"""Word error rate, with its own normalizer."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

NORMALIZER = "nfkc-lower-words"


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


def normalize(text: str) -> list[str]:
    """`nfkc-lower-words`: NFKC, lower case, and only words; an apostrophe within one is kept."""
    plain = unicodedata.normalize("NFKC", text).lower().replace("’", "'")  # noqa: RUF001
    return re.findall(r"\w+(?:'\w+)*", plain)


def word_errors(reference: str, hypothesis: str) -> WordErrors:
    """The fewest errors that turn one text into the other, after `nfkc-lower-words`."""
    expected, actual = normalize(reference), normalize(hypothesis)
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
    """Replaced, missing and added words per word of the reference, after `nfkc-lower-words`."""
    return word_errors(reference, hypothesis).rate
