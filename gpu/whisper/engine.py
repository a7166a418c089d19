"""Whisper on the CPU with faster-whisper (CTranslate2, int8): the embedded engine.

Speech is packed into windows of at most 28 s (the model takes 30 s), which are decoded in batches
by one worker per core. The first window is short, so that the first words arrive early.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import chain, groupby
from pathlib import Path
from typing import TYPE_CHECKING

from gpu import config
from gpu.metering import with_usage
from gpu.model_catalog import INSTALLED, fetch
from gpu.segments import segments_and_partials, segments_of
from gpu.types import (
    Audio,
    Complete,
    EngineEvent,
    EngineUnavailable,
    LiveAudio,
    LiveEvent,
    Metadata,
    Partial,
    RecognitionOptions,
    Segment,
    UnsupportedLanguage,
    UnsupportedTask,
    UsageDelta,
)
from gpu.weights import whisper_base
from gpu.whisper.decoded import completed
from gpu.whisper.language import default_language
from gpu.whisper.recording import Passage, Recording
from gpu.whisper.workers import Job, Workers
from gpu.words import in_order

if TYPE_CHECKING:
    from gpu.whisper.model import Model


class WhisperEngine:
    """One model for all threads of the process, loaded when the first recording needs it."""

    name = "whisper"

    def __init__(self, model: str = config.WHISPER_MODEL) -> None:
        self.model_name = model
        self._lock = threading.Lock()
        self._loaded: tuple[Model, Workers, Workers] | None = None

    def stream(self, audio: Audio, stopped: Callable[[], bool]) -> Iterator[EngineEvent]:
        """See `gpu.types.Engine`."""
        model, workers, _ = self._load()
        _check_support(model, audio.language, audio.options)
        job = Job(Recording(model, audio).tasks(workers.count, config.WHISPER_BATCH_SIZE))
        with closing(workers.run(job, stopped)) as batches:
            events = self._events(audio, chain.from_iterable(batches))
            yield from with_usage(events, lambda: UsageDelta(job.device_seconds))
        yield Complete(sum(s.end - s.start for s in audio.spans), job.device_seconds)

    def live(self, audio: LiveAudio, stopped: Callable[[], bool]) -> Iterator[LiveEvent]:
        """See `gpu.types.Engine`."""
        from gpu.whisper.live import LiveSession

        model, _, workers = self._load()
        _check_support(model, audio.language, audio.options)
        session = LiveSession(model, workers, audio, self._full_name, stopped)
        unspoken = default_language(audio.options)
        events = session.events(unspoken)
        yield from with_usage(events, lambda: UsageDelta(session.device_seconds))
        yield session.usage

    @property
    def _full_name(self) -> str:
        return f"whisper-{Path(self.model_name).name}"

    def _events(self, audio: Audio, passages: Iterator[Passage]) -> Iterator[EngineEvent]:
        language = audio.language
        if not language:
            first = next(passages, None)
            unspoken = default_language(audio.options)
            language = first.language if first else unspoken
            passages = chain([first] if first else [], passages)
        yield Metadata(language, self._full_name)
        yield from _segments(passages)

    def _load(self) -> tuple[Model, Workers, Workers]:
        """The model with the workers of recordings and those of live sessions, which cannot wait
        for a batch of a recording."""
        with self._lock:
            if self._loaded is None:
                count = config.WHISPER_THREADS or _core_count()
                model = _load_model(self.model_name, 2 * count)
                self._loaded = model, Workers(count), Workers(count)
            return self._loaded


def _check_support(model: Model, language: str | None, options: RecognitionOptions) -> None:
    requested = (language,) if language else options.languages
    if requested and not set(requested) & set(model.languages):
        raise UnsupportedLanguage(f"the model does not support {', '.join(requested)!r}")
    if options.translate and not model.is_multilingual:
        raise UnsupportedTask("the model knows only English")


def _core_count() -> int:
    """The number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS


def _load_model(name: str, workers: int) -> Model:
    try:
        from gpu.whisper.model import Model
    except ImportError as error:
        raise EngineUnavailable(f"faster-whisper cannot be loaded: {error}") from error
    installed = whisper_base(config.models_dir()) if name == INSTALLED else None
    try:
        return Model(installed or _other_weights(name), workers)
    except Exception as error:  # CTranslate2 and the Hub raise many types
        raise EngineUnavailable(
            f"WHISPER_MODEL={name!r} is neither a folder with a model for faster-whisper nor a "
            f"model that could be downloaded ('base' needs no network): {error}"
        ) from error


def _other_weights(name: str) -> Path:
    """The folder with weights that are not installed. Raises EngineUnavailable."""
    return Path(name) if Path(name).is_dir() else fetch(name, config.models_dir())


def _segments(passages: Iterable[Passage]) -> Iterator[Partial | Segment]:
    """Segments, each in one language."""
    events = segments_and_partials if config.STT_PARTIALS else segments_of
    for language, in_one_language in groupby(passages, key=lambda passage: passage.language):
        words = chain.from_iterable(passage.words for passage in in_one_language)
        for event in events(in_order(words)):
            yield event if isinstance(event, Partial) else completed(event, language)
