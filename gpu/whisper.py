"""The embedded engine: Whisper on the CPU through faster-whisper (CTranslate2, int8).

Speech is packed into windows of at most 28 s (the model hears 30) and decoded in batches. The
first batch is a single short window, so that the first words come early; the batches that follow
grow until they keep all cores busy. CTranslate2 queues the batches of all threads first come, first
served, so a long recording cannot starve a short one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate, chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from gpu import config, pcm
from gpu.metering import metered
from gpu.segments import growing_segments, segments_of
from gpu.types import (
    Audio,
    Cancelled,
    Complete,
    EngineError,
    EngineEvent,
    EngineUnavailable,
    Metadata,
    Span,
    Spent,
    UnsupportedLanguage,
    Word,
)
from gpu.weights import whisper_base
from gpu.windows import pack
from gpu.words import in_order

log = logging.getLogger(__name__)

RATE = 16_000  # Hz, what the model was trained on
WINDOW, FIRST_WINDOW = 28.0, 10.0  # seconds
REPETITION = 2.4  # gzip ratio above which the decoder goes round in circles (Whisper's own value)
LASTING = 0.04  # seconds that a word takes at least
NO_SPEECH, UNSURE = 0.6, -1.0  # no-speech probability and mean log probability of an invented text


class WhisperEngine:
    """One model for all threads of the process, loaded when the first recording needs it."""

    name = "whisper"

    def __init__(self, model: str = config.WHISPER_MODEL) -> None:
        self.model_name = model
        self._loading = threading.Lock()
        self._model: Any = None

    def stream(self, audio: Audio, stopped: Callable[[], bool]) -> Iterator[EngineEvent]:
        """See `gpu.types.Engine`."""
        began = time.monotonic()
        decoder = _Decoder(self._load(), audio)
        yield Metadata(decoder.language, f"whisper-{Path(self.model_name).name}")
        words = in_order(chain.from_iterable(decoder.words(stopped)))
        segments = (growing_segments if config.STT_PARTIALS else segments_of)(words)
        yield from metered(segments, lambda: Spent(time.monotonic() - began))
        yield Complete(sum(s.end - s.start for s in audio.spans), time.monotonic() - began)

    def _load(self) -> Any:
        with self._loading:
            if self._model is None:
                self._model = _load_model(self.model_name)
            return self._model


def _load_model(name: str) -> Any:
    try:
        from faster_whisper import WhisperModel
    except ImportError as error:
        raise EngineUnavailable(f"faster-whisper cannot be loaded: {error}") from error
    source = str(whisper_base(config.models_dir())) if name == "base" else name
    try:
        return WhisperModel(
            source,
            device="cpu",
            compute_type="int8",
            cpu_threads=config.WHISPER_THREADS,
            download_root=str(config.models_dir()),
        )
    except Exception as error:  # CTranslate2 and the hub raise many kinds
        raise EngineUnavailable(
            f"WHISPER_MODEL={name!r} is neither a folder with a model for faster-whisper nor one "
            f"that could be downloaded ('base' needs no network): {error}"
        ) from error


class _Decoder:
    """One recording on its way through the model."""

    def __init__(self, model: Any, audio: Audio) -> None:
        self.model, self.audio = _Remembering(model), audio
        self.windows = list(pack(audio.spans, WINDOW, FIRST_WINDOW))
        self.language = audio.language or self._detect()
        if self.language not in model.supported_languages:
            raise UnsupportedLanguage(f"{self.language!r} is not among the model's languages")

    def words(self, stopped: Callable[[], bool]) -> Iterator[Iterable[Word]]:
        """The words of window after window."""
        for batch in batches(self.windows, config.WHISPER_BATCH_SIZE):
            if stopped():
                raise Cancelled("stopped between two batches")
            yield from self._decode(batch)

    def _detect(self) -> str:
        if not self.windows or not self.model.model.is_multilingual:
            return "en"
        from faster_whisper.audio import pad_or_trim

        # As the pipeline will ask for it again, with the first batch.
        features = self.model.feature_extractor(self._samples(self.windows[0]))[..., :-1]
        encoded = self.model.encode(np.stack([pad_or_trim(features)]))
        ((best, _), *_), *_ = self.model.model.detect_language(encoded)
        return str(best).strip("<|>")

    def _samples(self, window: Span) -> Any:
        return pcm.read_at(self.audio.path, window.start, window.end, RATE)

    def _decode(self, batch: list[Span]) -> Iterator[list[Word]]:
        from faster_whisper import BatchedInferencePipeline

        # Window after window, without what lies between them: that can be hours of silence.
        parts = [self._samples(window) for window in batch]
        edges = accumulate((len(part) / RATE for part in parts), initial=0.0)
        clips = [{"start": start, "end": end} for start, end in pairwise(edges)]
        try:
            # The pipeline keeps a mark between calls: a fresh one costs nothing and is thread-safe.
            texts, _ = BatchedInferencePipeline(self.model).transcribe(
                np.concatenate(parts),
                clip_timestamps=clips,
                batch_size=len(batch),
                language=self.language,
                word_timestamps=True,
            )
            for text in texts:
                began = text.seek / 100  # where its window begins among the joined samples
                index = min(range(len(clips)), key=lambda i: abs(clips[i]["start"] - began))
                yield self._checked(text, batch[index], batch[index].start - began)
        except EngineError:
            raise
        except Exception as error:  # whatever native code raises must not kill the worker
            raise EngineError(f"Whisper failed: {error!r}") from error

    def _checked(self, text: Any, window: Span, offset: float) -> list[Word]:
        """The words of one decoded window, unless the model was making them up."""
        if text.no_speech_prob > NO_SPEECH and text.avg_logprob < UNSURE:
            return []
        if text.compression_ratio <= REPETITION:
            return list(_words(text.words, window, offset))
        return self._decode_carefully(window)

    def _decode_carefully(self, window: Span) -> list[Word]:
        """A second look at a window where the batch repeated itself: one at a time, warmer."""
        log.info("window at %.1f s repeats itself, decoding it again", window.start)
        texts, _ = self.model.transcribe(
            self._samples(window),
            language=self.language,
            word_timestamps=True,
            condition_on_previous_text=False,
            temperature=[0.0, 0.4, 0.8],
            best_of=2,
        )
        # Whoever does say a thing again and again takes time for it; a decoder in circles does not.
        return [
            word
            for text in texts
            for word in _words(text.words, window, window.start)
            if text.compression_ratio <= REPETITION or word.end - word.start >= LASTING
        ]


class _Remembering:
    """A model that does not encode the same window twice in a row: to find out the language takes
    half of what it takes to decode the first words."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._last: tuple[Any, Any] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def encode(self, features: Any) -> Any:
        """See `faster_whisper.WhisperModel.encode`."""
        if self._last is None or not np.array_equal(features, self._last[0]):
            self._last = features, self._model.encode(features)
        return self._last[1]


def _words(words: Iterable[Any], window: Span, offset: float) -> Iterator[Word]:
    """Words with text, their times shifted by `offset` and kept within the window."""
    for word in words:
        text = word.word.strip()
        if text:
            start, end = (
                round(float(min(max(offset + time, window.start), window.end)), 3)
                for time in (word.start, word.end)
            )
            yield Word(start, end, text, glued=not word.word.startswith(" "))


def batches(windows: list[Span], size: int) -> Iterator[list[Span]]:
    """One window, then two, then four, ... up to `size` at a time."""
    step = 1
    while windows:
        yield windows[:step]
        windows = windows[step:]
        step = min(2 * step, size)
