"""Word error rate, with a normaliser of its own."""

from __future__ import annotations

import re
import unicodedata

NORMALISER = "nfkc-lower-words"


def normalised(text: str) -> list[str]:
    """`nfkc-lower-words`: NFKC, lower case, and only words; an apostrophe within one is kept."""
    plain = unicodedata.normalize("NFKC", text).lower().replace("’", "'")  # noqa: RUF001
    return re.findall(r"\w+(?:'\w+)*", plain)


def word_error_rate(reference: str, hypothesis: str) -> float:
    """Replaced, missing and added words per word of the reference, after `nfkc-lower-words`."""
    wanted, heard = normalised(reference), normalised(hypothesis)
    costs = list(range(len(heard) + 1))  # of turning nothing into each beginning of `heard`
    for row, word in enumerate(wanted, 1):
        before, costs[0] = costs[0], row
        for column, other in enumerate(heard, 1):
            before, costs[column] = (
                costs[column],
                min(before + (word != other), costs[column] + 1, costs[column - 1] + 1),
            )
    return costs[-1] / len(wanted)
