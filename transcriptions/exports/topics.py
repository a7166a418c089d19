"""Where the topic of a text changes. Imports no Django.

A place is judged by the words that the sentences before and after it have in common, as in
TextTiling (Hearst 1997). A word counts less the more sentences contain it, so that no list of stop
words is needed; where a script has no spaces, pairs of characters are the words.
"""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from math import log, sqrt

from gpu.scripts import UNSPACED

DISTANCE = 4  # in sentences, up to which they are compared
DECAY = 0.8  # each sentence between two others reduces the weight of what they have in common
MIN_SENTENCES = 2 * DISTANCE  # fewer are not enough to detect topics
STEM_LETTERS = 5  # `harbor` and `harbors` are one word

_TERM = re.compile(rf"[{UNSPACED}]+|[^\W\d_{UNSPACED}]+")
_UNSPACED = re.compile(f"[{UNSPACED}]")


def topic_changes(sentences: Sequence[str]) -> list[float]:
    """How much the topic changes before each sentence, compared with all others: the mean is 0 and
    the standard deviation is 1."""
    if len(sentences) < MIN_SENTENCES:
        return [0.0] * len(sentences)
    vectors = _vectors([_terms(sentence) for sentence in sentences])
    links, weights = [0.0] * len(vectors), [0.0] * len(vectors)  # across the place before each
    for distance in range(1, DISTANCE + 1):
        weight = DECAY ** (distance - 1)
        for first, (before, after) in enumerate(zip(vectors, vectors[distance:], strict=False)):
            likeness = weight * _dot(before, after)
            for place in range(first + 1, first + distance + 1):
                links[place] += likeness
                weights[place] += weight
    return [0.0, *_standardized([-a / b for a, b in zip(links[1:], weights[1:], strict=True)])]


def _terms(sentence: str) -> Counter[str]:
    """The words without endings; pairs of characters where there are no spaces."""
    terms = Counter[str]()
    for found in _TERM.findall(sentence.casefold()):
        if _UNSPACED.match(found):
            terms.update(map("".join, pairwise(found)))
        else:
            terms[found[:STEM_LETTERS]] += 1
    return terms


def _vectors(sentences: list[Counter[str]]) -> list[dict[str, float]]:
    """The words of each sentence with weights, as a vector of length 1. Words that only one
    sentence contains link nothing, and are left out."""
    containing = Counter(term for terms in sentences for term in terms)
    weights = {term: log(len(sentences) / count) for term, count in containing.items() if count > 1}
    return [
        _normalized(
            {term: count * weights[term] for term, count in terms.items() if term in weights}
        )
        for terms in sentences
    ]


def _normalized(vector: dict[str, float]) -> dict[str, float]:
    norm = sqrt(sum(weight * weight for weight in vector.values()))
    return {term: weight / norm for term, weight in vector.items()} if norm else {}


def _dot(left: dict[str, float], right: dict[str, float]) -> float:
    return sum(weight * right[term] for term, weight in left.items() if term in right)


def _standardized(values: list[float]) -> list[float]:
    mean, deviation = statistics.fmean(values), statistics.pstdev(values)
    return [(value - mean) / deviation if deviation else 0.0 for value in values]
