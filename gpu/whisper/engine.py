"""Whisper on the CPU with faster-whisper (CTranslate2, int8): the embedded engine.

Speech is packed into windows of at most 28 s (the model takes 30 s), which are decoded in batches
by one worker per core. The first window is short, so that the first words come early.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import chain, groupby
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from gpu import config
from gpu.metering import with_usage
from gpu.segments import segments_and_partials, segments_of
from gpu.types import (
    Audio,
    Complete,
    Decoding,
    EngineEvent,
    EngineUnavailable,
    Metadata,
    Partial,
    Segment,
    UnsupportedLanguage,
    UnsupportedTask,
    UsageDelta,
)
from gpu.weights import whisper_base
from gpu.whisper.decoded import DecodedWord
from gpu.whisper.recording import Passage, Recording
from gpu.whisper.workers import Job, Workers
from gpu.words import in_order

if TYPE_CHECKING:
    from gpu.whisper.model import Model


DEFAULT_LANGUAGE = "en"  # of a recording without speech


class WhisperEngine:
    """One model for all threads of the process, loaded when the first recording needs it."""

    name = "whisper"

    def __init__(self, model: str = config.WHISPER_MODEL) -> None:
        self.model_name = model
        self._lock = threading.Lock()
        self._loaded: tuple[Model, Workers] | None = None

    def stream(self, audio: Audio, stopped: Callable[[], bool]) -> Iterator[EngineEvent]:
        """See `gpu.types.Engine`."""
        model, workers = self._load()
        if all(audio.excludes(language) for language in model.languages):
            requested = audio.language or ", ".join(audio.options.languages)
            raise UnsupportedLanguage(f"the model does not support {requested!r}")
        if audio.options.translate and not model.is_multilingual:
            raise UnsupportedTask("the model knows only English")
        job = Job(Recording(model, audio).tasks(workers.count, config.WHISPER_BATCH_SIZE))
        with closing(workers.run(job, stopped)) as batches:
            events = self._events(audio, chain.from_iterable(batches))
            yield from with_usage(events, lambda: UsageDelta(job.device_seconds))
        yield Complete(sum(s.end - s.start for s in audio.spans), job.device_seconds)

    def _events(self, audio: Audio, passages: Iterator[Passage]) -> Iterator[EngineEvent]:
        language = audio.language
        if not language:
            first = next(passages, None)
            unspoken = (*audio.options.languages, DEFAULT_LANGUAGE)[0]
            language = first.language if first else unspoken
            passages = chain([first] if first else [], passages)
        yield Metadata(language, f"whisper-{Path(self.model_name).name}")
        yield from _segments(passages)

    def _load(self) -> tuple[Model, Workers]:
        with self._lock:
            if self._loaded is None:
                count = config.WHISPER_THREADS or _core_count()
                self._loaded = _load_model(self.model_name, count), Workers(count)
            return self._loaded


def _core_count() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS


def _load_model(name: str, workers: int) -> Model:
    try:
        from gpu.whisper.model import Model
    except ImportError as error:
        raise EngineUnavailable(f"faster-whisper cannot be loaded: {error}") from error
    source = str(whisper_base(config.models_dir())) if name == "base" else name
    try:
        return Model(source, workers, config.models_dir())
    except Exception as error:  # CTranslate2 and the Hub raise many types
        raise EngineUnavailable(
            f"WHISPER_MODEL={name!r} is neither a folder with a model for faster-whisper nor a "
            f"model that could be downloaded ('base' needs no network): {error}"
        ) from error


def _segments(passages: Iterable[Passage]) -> Iterator[Partial | Segment]:
    """Segments, each in one language."""
    events = segments_and_partials if config.STT_PARTIALS else segments_of
    for language, in_one_language in groupby(passages, key=lambda passage: passage.language):
        words = chain.from_iterable(passage.words for passage in in_one_language)
        for event in events(in_order(words)):
            yield event if isinstance(event, Partial) else _complete(event, language)


def _complete(segment: Segment, language: str) -> Segment:
    """With its language and the statistics of its words."""
    words = [word for word in segment.words if isinstance(word, DecodedWord)]
    known = [word.decoding for word in words]
    decoding = Decoding(
        avg_logprob=fmean(one.avg_logprob for one in known),
        no_speech_prob=fmean(one.no_speech_prob for one in known),
        compression_ratio=max(one.compression_ratio for one in known),
        temperature=max(one.temperature for one in known),
        tokens=tuple(token for word in words for token in word.tokens),
    )
    return Segment(tuple(word.plain() for word in words), language, decoding)
