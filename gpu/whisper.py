"""Whisper on the CPU with faster-whisper (CTranslate2, int8): the embedded engine.

Speech is packed into windows of at most 28 s (the model takes 30 s) and decoded in batches. The
first batch is a single short window, so that the first words come early; the following batches grow
until they use all cores. CTranslate2 queues the batches of all threads in order of arrival, so a
long recording cannot starve a short one.
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
from gpu.metering import with_usage
from gpu.segments import segments_and_partials, segments_of
from gpu.types import (
    Audio,
    Cancelled,
    Complete,
    EngineError,
    EngineEvent,
    EngineUnavailable,
    Metadata,
    Span,
    UnsupportedLanguage,
    UsageDelta,
    Word,
)
from gpu.weights import whisper_base
from gpu.windows import pack
from gpu.words import in_order

log = logging.getLogger(__name__)

SAMPLE_RATE_HZ = 16_000  # of the model
MAX_WINDOW_S, MAX_FIRST_WINDOW_S = 28.0, 10.0
# Compression ratio above which the decoder repeats itself, as in OpenAI's implementation.
MAX_COMPRESSION_RATIO = 2.4
MIN_WORD_S = 0.04  # a repeated word that is shorter was not spoken
# No-speech probability above which, and mean log probability below which, text is invented.
MAX_NO_SPEECH_PROB, MIN_AVG_LOGPROB = 0.6, -1.0


class WhisperEngine:
    """One model for all threads of the process, loaded when the first recording needs it."""

    name = "whisper"

    def __init__(self, model: str = config.WHISPER_MODEL) -> None:
        self.model_name = model
        self._lock = threading.Lock()
        self._model: Any = None

    def stream(self, audio: Audio, stopped: Callable[[], bool]) -> Iterator[EngineEvent]:
        """See `gpu.types.Engine`."""
        started = time.monotonic()
        decoder = _Decoder(self._load(), audio)
        yield Metadata(decoder.language, f"whisper-{Path(self.model_name).name}")
        words = in_order(chain.from_iterable(decoder.words(stopped)))
        segments = (segments_and_partials if config.STT_PARTIALS else segments_of)(words)
        yield from with_usage(segments, lambda: UsageDelta(time.monotonic() - started))
        yield Complete(sum(s.end - s.start for s in audio.spans), time.monotonic() - started)

    def _load(self) -> Any:
        with self._lock:
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
    except Exception as error:  # CTranslate2 and the Hub raise many types
        raise EngineUnavailable(
            f"WHISPER_MODEL={name!r} is neither a folder with a model for faster-whisper nor a "
            f"model that could be downloaded ('base' needs no network): {error}"
        ) from error


class _Decoder:
    """Decodes one recording."""

    def __init__(self, model: Any, audio: Audio) -> None:
        self.model, self.audio = _EncoderCache(model), audio
        self.windows = list(pack(audio.spans, MAX_WINDOW_S, MAX_FIRST_WINDOW_S))
        self.language = audio.language or self._detect()
        if self.language not in model.supported_languages:
            raise UnsupportedLanguage(f"the model does not support {self.language!r}")

    def words(self, stopped: Callable[[], bool]) -> Iterator[Iterable[Word]]:
        """The words of each window. Raises Cancelled once `stopped()` returns true."""
        for batch in batches(self.windows, config.WHISPER_BATCH_SIZE):
            if stopped():
                raise Cancelled("stopped before the next batch")
            yield from self._decode(batch)

    def _detect(self) -> str:
        if not self.windows or not self.model.model.is_multilingual:
            return "en"
        from faster_whisper.audio import pad_or_trim

        # Exactly as the pipeline encodes the first batch later: it is not encoded again.
        features = self.model.feature_extractor(self._samples(self.windows[0]))[..., :-1]
        encoded = self.model.encode(np.stack([pad_or_trim(features)]))
        ((best, _), *_), *_ = self.model.model.detect_language(encoded)
        return str(best).strip("<|>")

    def _samples(self, window: Span) -> Any:
        return pcm.read_resampled(self.audio.path, window.start, window.end, SAMPLE_RATE_HZ)

    def _decode(self, batch: list[Span]) -> Iterator[list[Word]]:
        from faster_whisper import BatchedInferencePipeline

        # The windows joined, without what is between them: it can be hours of silence.
        parts = [self._samples(window) for window in batch]
        edges = accumulate((len(part) / SAMPLE_RATE_HZ for part in parts), initial=0.0)
        clips = [{"start": start, "end": end} for start, end in pairwise(edges)]
        try:
            # The pipeline keeps state between calls: a new one costs nothing and is thread-safe.
            texts, _ = BatchedInferencePipeline(self.model).transcribe(
                np.concatenate(parts),
                clip_timestamps=clips,
                batch_size=len(batch),
                language=self.language,
                word_timestamps=True,
            )
            for text in texts:
                clip_start = text.seek / 100  # seconds in the joined samples
                index = min(range(len(clips)), key=lambda i: abs(clips[i]["start"] - clip_start))
                yield self._checked_words(text, batch[index], batch[index].start - clip_start)
        except EngineError:
            raise
        except Exception as error:  # native code raises many types
            raise EngineError(f"Whisper failed: {error!r}") from error

    def _checked_words(self, text: Any, window: Span, offset: float) -> list[Word]:
        """The words of one decoded window; none if the model invented them."""
        if text.no_speech_prob > MAX_NO_SPEECH_PROB and text.avg_logprob < MIN_AVG_LOGPROB:
            return []
        if text.compression_ratio <= MAX_COMPRESSION_RATIO:
            return list(_words(text.words, window, offset))
        return self._decode_again(window)

    def _decode_again(self, window: Span) -> list[Word]:
        """Decodes a window whose text repeats itself, alone and at higher temperatures."""
        log.info("the text of the window at %.1f s repeats itself, decoding it again", window.start)
        texts, _ = self.model.transcribe(
            self._samples(window),
            language=self.language,
            word_timestamps=True,
            condition_on_previous_text=False,
            temperature=[0.0, 0.4, 0.8],
            best_of=2,
        )
        # Repetitions that were spoken take time, those of a decoder in a loop do not.
        return [
            word
            for text in texts
            for word in _words(text.words, window, window.start)
            if text.compression_ratio <= MAX_COMPRESSION_RATIO
            or word.end - word.start >= MIN_WORD_S
        ]


class _EncoderCache:
    """A model that does not encode the same window twice in a row.

    The first window is encoded to detect the language, and again to decode it. The former takes
    half as long as decoding the first words.
    """

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
    """Words that have text, their times moved by `offset` seconds and limited to the window."""
    for word in words:
        text = word.word.strip()
        if text:
            start, end = (
                round(float(min(max(offset + time, window.start), window.end)), 3)
                for time in (word.start, word.end)
            )
            yield Word(start, end, text, no_space_before=not word.word.startswith(" "))


def batches(windows: list[Span], size: int) -> Iterator[list[Span]]:
    """Batches of one window, then two, then four, ..., up to `size`."""
    step = 1
    while windows:
        yield windows[:step]
        windows = windows[step:]
        step = min(2 * step, size)
