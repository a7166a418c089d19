"""The end of live audio, whose words are not all firm, and the words decoded from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile, zip_longest
from typing import TYPE_CHECKING

import numpy as np

from gpu.segments import ends_clause, ends_sentence
from gpu.types import RecognitionOptions, Segment, Span
from gpu.whisper import checks
from gpu.whisper.decoded import SAMPLE_RATE_HZ, DecodedWord, Samples
from gpu.whisper.language import LanguageTracker, default_language, restrict_to
from gpu.whisper.part import Part
from gpu.whisper.recording import moved

if TYPE_CHECKING:
    from gpu.whisper.model import Encoded, Model

TRIM_S = 4.0  # a longer window is cut after a firm sentence,
LONG_S, LONG_TOKENS = 8.0, 100  # a still longer one after any firm word,
MAX_S = 20.0  # and at this length, words are made firm for a cut
KEPT_WORDS = 2  # that may still change, even then
SHORT_PAUSE_S = 0.2
CONTEXT_CHARACTERS = 200  # of the firm text before the window, as a prompt
# A short piece of speech changes the language only if the speech around it agrees.
MIN_CHANGE_S, CERTAIN_S = 2.0, 3.0
CERTAINTY, SAME_CERTAINTY = 0.8, 0.5  # probabilities of a new language and of the one before
# After this time, a probable word is firm without a second hypothesis.
FIRM_S, FIRM_PROBABILITY = 1.0, 0.7
UNFINISHED_S = 1.0  # at the end of the audio, where words may be missing for now


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """The words of a window after the firm ones, as decoded at one moment."""

    end: float  # of the window
    words: list[DecodedWord]
    language: str
    is_certain: bool  # of the language
    tracker: LanguageTracker


class LiveWindow:
    """Samples and words since the last cut. Times are in seconds from the recording's start."""

    def __init__(
        self, model: Model, start: float, language: str | None, options: RecognitionOptions
    ) -> None:
        self.start = start
        self._model, self._options = model, options
        self._samples: Samples = np.zeros(0, dtype=np.float32)
        self._firm: list[DecodedWord] = []
        self._tentative: list[DecodedWord] = []
        self._context = ""
        self._requested = language or ("" if model.is_multilingual else "en")
        self.language = self._requested  # since the last pause; empty: not known yet
        self._last_language = self._requested
        self._tracker = LanguageTracker()

    @property
    def tentative(self) -> Sequence[DecodedWord]:
        """The words that may still change."""
        return self._tentative

    def append(self, samples: Samples) -> None:
        """Adds samples at the end."""
        self._samples = np.concatenate([self._samples, samples])

    def drop(self, before: float) -> None:
        """Drops the samples before a time."""
        count = round((before - self.start) * SAMPLE_RATE_HZ)
        if count > 0:
            self._samples = self._samples[count:]
            self.start += count / SAMPLE_RATE_HZ

    def decode(self, end: float, speech: Sequence[Span], is_last: bool) -> Hypothesis:
        """Decodes the window until `end` again; changes nothing. For the thread of a worker."""
        span = Span(self.start, end)
        samples = self._samples[: round((end - self.start) * SAMPLE_RATE_HZ)]
        encoded = self._model.encode([samples])
        language, is_certain, tracker = self._language_of(encoded, span, speech, is_last)
        options = replace(self._options, prompt=f"{self._options.prompt} {self._context}".strip())
        prefix = [token for word in self._firm for token in word.tokens]
        (decoded,) = self._model.decode(encoded, language, options, prefix=prefix)
        begin = self._firm[-1].end if self._firm else self.start
        until = end if is_last else max(begin, end - UNFINISHED_S)
        open_speech = [
            Span(max(begin, one.start), min(until, one.end))
            for one in speech
            if one.end > begin and one.start < until
        ]
        part = Part(self._model, open_speech, options, span, samples, language)
        words = list(moved(part.checked(decoded), span))
        return Hypothesis(end, words, language, is_certain, tracker)

    def accept(self, hypothesis: Hypothesis, is_last: bool) -> list[DecodedWord]:
        """Takes a new hypothesis; returns the words that it makes firm."""
        if not (hypothesis.is_certain or is_last):
            self._tentative = hypothesis.words
            return []
        if not self.language:
            self._tracker = hypothesis.tracker
            if hypothesis.language != self._last_language:
                self._context = ""
            self.language = self._last_language = hypothesis.language
        count = len(hypothesis.words) if is_last else firm_count(self._tentative, hypothesis)
        return self._make_firm(hypothesis.words, count)

    def finish(self, end: float) -> list[DecodedWord]:
        """Ends the window; returns its tentative words, which are firm now."""
        words = self._make_firm(self._tentative, len(self._tentative))
        self._cut(len(self._firm), end)
        self.language = self._requested
        return words

    def trim(self, end: float) -> list[DecodedWord]:
        """Cuts off the firm part if the window is long; returns words that are made firm for
        this."""
        words = list[DecodedWord]()
        if end - self.start > MAX_S:
            words = self._make_firm(self._tentative, max(0, len(self._tentative) - KEPT_WORDS))
        while count := self._cut_after(end):
            following = [*self._firm, *self._tentative][count:]
            edge = self._firm[count - 1].end
            self._cut(count, (edge + following[0].start) / 2 if following else edge)
        if end - self.start > MAX_S:
            self._cut(len(self._firm), end - LONG_S)
        return words

    def _make_firm(self, words: list[DecodedWord], count: int) -> list[DecodedWord]:
        self._firm += words[:count]
        self._tentative = words[count:]
        return words[:count]

    def _cut_after(self, end: float) -> int:
        """The number of firm words after which the window should be cut."""
        length, words = end - self.start, [*self._firm, *self._tentative]
        is_long = length > LONG_S or sum(len(word.tokens) for word in self._firm) > LONG_TOKENS
        if not (is_long or length > TRIM_S):
            return 0
        places = range(min(len(self._firm), len(words) - 1), 0, -1)
        sentences = (n for n in places if ends_sentence(words[n - 1].text, words[n].text))
        clauses = (
            n
            for n in places
            if ends_clause(words[n - 1].text) or words[n].start - words[n - 1].end >= SHORT_PAUSE_S
        )
        if count := next(sentences, 0):
            return count
        return (next(clauses, 0) or len(self._firm)) if is_long else 0

    def _cut(self, count: int, at: float) -> None:
        text = Segment((*self._firm[:count],)).text
        self._context = f"{self._context} {text}".strip()[-CONTEXT_CHARACTERS:]
        self._firm = self._firm[count:]
        self.drop(at)

    def _language_of(
        self, encoded: Encoded, span: Span, speech: Sequence[Span], is_last: bool
    ) -> tuple[str, bool, LanguageTracker]:
        """The language since the last pause, and whether it is certain. The speech counts twice,
        because there is no second piece to wait for."""
        if self.language:
            return self.language, True, self._tracker
        tracker = self._tracker.copy()
        start = max(span.start, speech[0].start) - span.start if speech else 0.0
        end = min(span.end, speech[-1].end) - span.start if speech else span.end - span.start
        found = self._model.language_probabilities(encoded, 0, start, end)
        probabilities = restrict_to(found, self._options.languages)
        weight = 2 if end - start >= MIN_CHANGE_S else 1
        language = tracker.languages_of([probabilities], weight)[-1]
        is_probable = probabilities.get(language, 0.0) >= SAME_CERTAINTY
        if not (self._last_language or is_probable or weight == 2):
            # A word or two at the beginning tell nothing.
            return default_language(self._options), is_last, self._tracker
        is_certain = end - start >= CERTAIN_S
        if language == self._last_language:
            is_certain |= is_probable
        elif end - start >= MIN_CHANGE_S:
            is_certain |= probabilities.get(language, 0.0) >= CERTAINTY
        return language, is_last or is_certain, tracker


def firm_count(before: Sequence[DecodedWord], now: Hypothesis) -> int:
    """How many words at the beginning of a hypothesis are firm: the previous hypothesis has them
    too, or they are probable and others have followed. The ending and punctuation of a word depend
    on what follows, so the last word is never firm."""
    pairs = zip_longest(now.words[:-1], before[: len(now.words) - 1])
    return sum(1 for _ in takewhile(lambda pair: _is_firm(*pair, now.end), pairs))


def _is_firm(word: DecodedWord, before: DecodedWord | None, end: float) -> bool:
    if before and checks.plain(word.text) == checks.plain(before.text):
        return True
    is_old = end - word.end >= FIRM_S
    return is_old and (word.probability or 0.0) >= FIRM_PROBABILITY
