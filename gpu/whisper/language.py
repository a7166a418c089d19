"""The language of each piece of a recording; a single outlier changes nothing."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping

from gpu.types import RecognitionOptions

# A language changes if all pieces together are e^6 = 400 times as probable with the change. A
# single piece contributes at most a factor of 100, so that it takes two pieces that agree,
CHANGE_COST = 6.0
MIN_PROBABILITY = 0.01
# unless both languages are spoken alternately, as in a dialog or with an interpreter: then one
# clear piece is enough.
ALTERNATION_COST = 1.5
# A language is spoken if about two of the last pieces are clearly in it. Older pieces count less
# and less: in hours of one language, a few are taken for another.
CLEAR_PROBABILITY, SPOKEN_COUNT, DECAY = 0.8, 1.7, 0.93

Probabilities = Mapping[str, float]


def default_language(options: RecognitionOptions) -> str:
    """The language if none could be detected."""
    return (*options.languages, "en")[0]


def restrict_to(probabilities: Probabilities, candidates: Collection[str]) -> Probabilities:
    """The probabilities of the candidates, rescaled to a sum of 1; unchanged without candidates."""
    known = {each: probabilities[each] for each in candidates if each in probabilities}
    total = sum(known.values())
    if not known:
        return probabilities
    return {each: known[each] / total if total else 1 / len(known) for each in known}


class LanguageTracker:
    """Decides on the languages of consecutive pieces (the Viterbi algorithm)."""

    def __init__(
        self, scores: Probabilities | None = None, counts: Probabilities | None = None
    ) -> None:
        self._scores = dict(scores or {})  # log probabilities of each language for the last piece
        self._counts = dict(counts or {})  # of pieces that are clearly in each language

    def copy(self) -> LanguageTracker:
        """A copy, whose use does not change this tracker."""
        return LanguageTracker(self._scores, self._counts)

    def languages_of(self, pieces: Iterable[Probabilities], weight: int = 1) -> list[str]:
        """The language of each of the next pieces, from what is known after the last of them.

        `weight` is how often each piece counts as evidence for its language.
        """
        pieces = list(pieces)
        spoken = set[str]()
        for probabilities in pieces:
            self._count(probabilities)
            spoken |= {each for each, count in self._counts.items() if count >= SPOKEN_COUNT}
        origins: list[dict[str, str]] = []
        for probabilities in pieces:
            self._scores, before = self._after(probabilities, weight, spoken)
            origins.append(before)
        if not origins:
            return []
        languages = [max(self._scores, key=self._scores.__getitem__)]
        for before in reversed(origins[1:]):
            languages.append(before[languages[-1]])
        return languages[::-1]

    def _count(self, probabilities: Probabilities) -> None:
        self._counts = {each: DECAY * count for each, count in self._counts.items()}
        language = max(probabilities, key=probabilities.__getitem__)
        if probabilities[language] >= CLEAR_PROBABILITY:
            self._counts[language] = self._counts.get(language, 0.0) + 1

    def _after(
        self, probabilities: Probabilities, weight: int, spoken: Collection[str]
    ) -> tuple[dict[str, float], dict[str, str]]:
        """The scores after another piece, and from which language each one comes."""
        known = self._scores or dict.fromkeys(probabilities, 0.0)
        changed = _cheapest(known, CHANGE_COST)
        alternated = _cheapest(
            {each: known[each] for each in spoken if each in known}, ALTERNATION_COST
        )
        scores, origins = {}, {}
        for language in known.keys() | probabilities.keys():
            ways = [(known.get(language, -math.inf), language), changed]
            if language in spoken:
                ways.append(alternated)
            score, origins[language] = max(ways, key=lambda way: way[0])
            evidence = math.log(max(probabilities.get(language, 0.0), MIN_PROBABILITY))
            scores[language] = score + weight * evidence
        return scores, origins


def _cheapest(scores: Probabilities, cost: float) -> tuple[float, str]:
    """The score of a change from the most probable language, and that language."""
    best = max(scores, key=scores.__getitem__, default="")
    return scores.get(best, -math.inf) - cost, best
