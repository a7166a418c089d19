"""Word error rate, with its own normalizer."""

from __future__ import annotations

import re
import unicodedata

NORMALIZER = "nfkc-lower-words"


def normalize(text: str) -> list[str]:
    """`nfkc-lower-words`: NFKC, lower case, and only words; an apostrophe within one is kept."""
    plain = unicodedata.normalize("NFKC", text).lower().replace("’", "'")  # noqa: RUF001
    return re.findall(r"\w+(?:'\w+)*", plain)


def word_error_rate(reference: str, hypothesis: str) -> float:
    """Replaced, missing and added words per word of the reference, after `nfkc-lower-words`."""
    expected, actual = normalize(reference), normalize(hypothesis)
    costs = list(range(len(actual) + 1))  # of turning an empty text into each prefix of `actual`
    for row, word in enumerate(expected, 1):
        before, costs[0] = costs[0], row
        for column, other in enumerate(actual, 1):
            before, costs[column] = (
                costs[column],
                min(before + (word != other), costs[column] + 1, costs[column - 1] + 1),
            )
    return costs[-1] / len(expected)
