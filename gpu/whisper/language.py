"""The language of each piece of a recording; a single outlier changes nothing."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from gpu.types import RecognitionOptions, Span

MIN_PIECE_S, MAX_PIECE_S = 4.0, 10.0  # the model needs some seconds to detect a language
# A language changes if all pieces together are e^6 = 400 times as probable with the change. A
# single piece contributes at most a factor of 100, so that it takes two pieces that agree.
CHANGE_COST = 6.0
MIN_PROBABILITY = 0.01

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

    def __init__(self, scores: Probabilities | None = None) -> None:
        self._scores = dict(scores or {})  # log probabilities of each language for the last piece

    def copy(self) -> LanguageTracker:
        """A copy, whose use does not change this tracker."""
        return LanguageTracker(self._scores)

    def languages_of(self, pieces: Iterable[Probabilities]) -> list[str]:
        """The language of each of the next pieces, from what is known after the last of them."""
        origins: list[dict[str, str]] = []
        for probabilities in pieces:
            self._scores, before = self._after(probabilities)
            origins.append(before)
        if not origins:
            return []
        languages = [max(self._scores, key=self._scores.__getitem__)]
        for before in reversed(origins[1:]):
            languages.append(before[languages[-1]])
        return languages[::-1]

    def _after(self, probabilities: Probabilities) -> tuple[dict[str, float], dict[str, str]]:
        """The scores after another piece, and from which language each one comes."""
        known = self._scores or dict.fromkeys(probabilities, 0.0)
        best = max(known, key=known.__getitem__)
        changed = known[best] - CHANGE_COST
        scores, origins = {}, {}
        for language in known.keys() | probabilities.keys():
            same = known.get(language, -math.inf)
            origins[language] = language if same >= changed else best
            evidence = math.log(max(probabilities.get(language, 0.0), MIN_PROBABILITY))
            scores[language] = max(same, changed) + evidence
        return scores, origins


def pieces_of(window: Span, spans: Sequence[Span]) -> Iterator[Span]:
    """Cuts a window into pieces that are long enough to detect their language, each cut in the
    middle of a silence between its spans."""
    inner = [span for span in spans if span.start < window.end and span.end > window.start]
    start = window.start
    for one, two in pairwise(inner):
        cut = (one.end + two.start) / 2
        if cut - start >= MIN_PIECE_S and window.end - cut >= MIN_PIECE_S:
            yield from _halves(Span(start, cut))
            start = cut
    yield from _halves(Span(start, window.end))


def _halves(span: Span) -> Iterator[Span]:
    """Speech without a pause is cut anywhere."""
    count = math.ceil((span.end - span.start) / MAX_PIECE_S)
    for number in range(count):
        length = (span.end - span.start) / count
        yield Span(span.start + number * length, span.start + (number + 1) * length)
