"""Decodes one recording: its windows in batches, each of which is one task for the workers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

from gpu import pcm
from gpu.types import Audio, EngineError, Span
from gpu.whisper.decoded import SAMPLE_RATE_HZ, DecodedWord, Samples
from gpu.whisper.language import LanguageTracker, Probabilities, restrict_to
from gpu.whisper.part import Part
from gpu.whisper.pieces import pieces_of
from gpu.windows import pack

if TYPE_CHECKING:
    from gpu.whisper.model import Encoded, Model

MAX_WINDOW_S, MAX_FIRST_WINDOW_S = 28.0, 10.0


@dataclass(frozen=True, slots=True)
class Passage:
    """The words of a window, or of the part of it that is in one language."""

    language: str
    words: tuple[DecodedWord, ...]


class Recording:
    """The windows of one recording."""

    def __init__(self, model: Model, audio: Audio) -> None:
        self.model, self.audio = model, audio
        self.language = audio.language or ("" if model.is_multilingual else "en")

    def tasks(self, workers: int, batch_size: int) -> list[Task]:
        """The batches. Each task returns its passages in order of time.

        Tasks must be started in this order: a task that detects languages waits for the one before.
        """
        windows = list(pack(self.audio.spans, MAX_WINDOW_S, MAX_FIRST_WINDOW_S))
        tasks: list[Task] = []
        before = _known(LanguageTracker())
        for batch in batches(windows, workers, batch_size):
            after: Future[LanguageTracker] = Future()
            tasks.append(partial(self._run, batch, before, after))
            before = after
        return tasks

    def _run(self, batch: list[Span], before: Tracker, after: Tracker) -> list[Passage]:
        try:
            return list(self._transcribe(batch, before, after))
        except EngineError:
            raise
        except Exception as error:  # native code raises many types
            raise EngineError(f"Whisper failed: {error!r}") from error
        finally:
            if not after.done():
                after.cancel()  # so that no task waits forever

    def _transcribe(self, batch: list[Span], before: Tracker, after: Tracker) -> Iterator[Passage]:
        samples = [self._samples(window) for window in batch]
        encoded = self.model.encode(samples)
        parts = self._parts(batch, samples, encoded, before, after)
        languages = {language for _, language in parts}
        if len(parts) == len(batch) and len(languages) == 1:
            yield from self._decode(parts, samples, encoded)
            return
        for _, group in groupby(parts, key=lambda part: part[1]):
            run = list(group)
            samples = [self._samples(span) for span, _ in run]
            yield from self._decode(run, samples, self.model.encode(samples))

    def _parts(
        self,
        batch: list[Span],
        samples: list[Samples],
        encoded: Encoded,
        before: Tracker,
        after: Tracker,
    ) -> list[tuple[Span, str]]:
        """The windows with their languages; a window with several languages in several parts."""
        if self.language:
            return [(window, self.language) for window in batch]
        pieces = [
            (number, piece)
            for number, window in enumerate(batch)
            for piece in pieces_of(window, self.audio.spans, samples[number])
        ]
        found = [
            self._probabilities(encoded, number, piece, batch[number]) for number, piece in pieces
        ]
        tracker = before.result()
        languages = tracker.languages_of(found)
        after.set_result(tracker)
        parts = []
        for (_, language), group in groupby(
            zip(pieces, languages, strict=True), key=lambda item: (item[0][0], item[1])
        ):
            spans = [piece for (_, piece), _ in group]
            parts.append((Span(spans[0].start, spans[-1].end), language))
        return parts

    def _probabilities(
        self, encoded: Encoded, number: int, piece: Span, window: Span
    ) -> Probabilities:
        """Language probabilities in a piece of an encoded window."""
        edges = piece.start - window.start, piece.end - window.start
        found = self.model.language_probabilities(encoded, number, *edges)
        return restrict_to(found, self.audio.options.languages)

    def _samples(self, span: Span) -> Samples:
        return pcm.read_resampled(self.audio.path, span.start, span.end, SAMPLE_RATE_HZ)

    def _decode(
        self, parts: list[tuple[Span, str]], samples: list[Samples], encoded: Encoded
    ) -> Iterator[Passage]:
        """Parts in one language."""
        language = parts[0][1]
        results = self.model.decode(encoded, language, self.audio.options)
        for (span, _), part, decoded in zip(parts, samples, results, strict=True):
            speech, options = self.audio.spans, self.audio.options
            words = Part(self.model, speech, options, span, part, language).checked(decoded)
            yield Passage(language, tuple(moved(words, span)))


Task = Callable[[], list[Passage]]
Tracker = Future[LanguageTracker]


def _known(tracker: LanguageTracker) -> Tracker:
    future: Tracker = Future()
    future.set_result(tracker)
    return future


def moved(words: Iterable[DecodedWord], span: Span) -> Iterator[DecodedWord]:
    """Convert times to those of the recording, limited to the window."""
    for word in words:
        start, end = (
            round(min(max(span.start + time, span.start), span.end), 3)
            for time in (word.start, word.end)
        )
        yield replace(word, start=start, end=end)


def batches(windows: list[Span], workers: int, size: int) -> Iterator[list[Span]]:
    """Small ones first, one for each worker, so that words come early and steadily; then up to
    `size` windows. At the end all workers have something to do."""
    limit, dealt = 1, 0
    while windows:
        count = min(limit, math.ceil(len(windows) / workers))
        yield windows[:count]
        windows = windows[count:]
        dealt += 1
        if dealt % workers == 0:
            limit = min(2 * limit, size)
