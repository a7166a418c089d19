"""Kyutai STT on the local machine: the engine of STT_ENGINE=kyutai."""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from typing import Any

import numpy as np

from gpu import config, pcm
from gpu.kyutai.languages import chosen_language, model_name
from gpu.kyutai.live import LiveSession
from gpu.metering import with_usage
from gpu.segments import segments_and_partials, segments_of
from gpu.types import (
    Audio,
    Complete,
    DeviceUnrecoverable,
    EngineError,
    EngineEvent,
    EngineUnavailable,
    LiveAudio,
    LiveEvent,
    Metadata,
    OutOfMemory,
    Span,
    UsageDelta,
)
from gpu.windows import Window, pack
from gpu.words import clip_to_speech, in_order

log = logging.getLogger(__name__)

MAX_WINDOW_S = 60.0
# The deadline of a recording: a constant part, and a part for each second of audio.
DEADLINE_S, DEADLINE_PER_AUDIO_S = 120.0, 10.0


class KyutaiEngine:
    """One model and one batcher for all threads of the process, created at the first use."""

    name = "kyutai"

    def __init__(
        self,
        source: str = config.STT_MODEL_ID,
        device: str = config.STT_DEVICE,
        rows: int = config.STT_ROWS,
    ) -> None:
        self.source, self.device, self.rows = source, device, rows
        self._lock = threading.Lock()
        self._checkpoint: Any = None
        self._batcher: Any = None
        self._was_lost = False

    def stream(self, audio: Audio, stopped: Callable[[], bool]) -> Iterator[EngineEvent]:
        """See `gpu.types.Engine`."""
        language = chosen_language(self.source, audio)
        batcher = self.batcher()
        windows = [
            Window(span.start, partial(_read, audio, span))
            for span in pack(audio.spans, MAX_WINDOW_S)
        ]
        yield Metadata(language, model_name(self.source))
        job = batcher.submit(windows, DEADLINE_S + DEADLINE_PER_AUDIO_S * audio.duration)
        words = in_order(clip_to_speech(job.words(stopped), audio.spans))
        segments = (segments_and_partials if config.STT_PARTIALS else segments_of)(words)

        def usage() -> UsageDelta:
            return UsageDelta(job.device_seconds, queue_seconds=job.queue_seconds or 0.0)

        yield from with_usage(segments, usage)
        speech_seconds = sum(span.end - span.start for span in audio.spans)
        yield Complete(speech_seconds, usage().decode_seconds, usage().queue_seconds)

    def live(self, audio: LiveAudio, stopped: Callable[[], bool]) -> Iterator[LiveEvent]:
        """See `gpu.types.Engine`."""
        language = chosen_language(self.source, audio)
        batcher = self.batcher()
        yield Metadata(language, model_name(self.source))
        session = LiveSession(batcher, audio)
        with closing(session.events(stopped)) as events:
            yield from with_usage(events, lambda: session.usage)
        used = session.usage
        yield Complete(session.audio_seconds, used.decode_seconds, used.queue_seconds)

    def batcher(self) -> Any:
        """The batcher with the model loaded; a new one after its device was lost.

        Raises EngineUnavailable, DeviceUnrecoverable if no new one can be created, and OutOfMemory.
        """
        with self._lock:
            if self._batcher is not None and self._batcher.is_lost:
                self._discard_lost_batcher()
            if self._batcher is None:
                self._batcher = self._create_batcher()
                self._was_lost = False
            return self._batcher

    def load(self, half_precision: bool) -> None:
        """Loads the model into main memory only; the first use moves it to the device."""
        import torch

        from gpu.kyutai.checkpoint import Checkpoint

        dtype = torch.bfloat16 if half_precision else torch.float32
        self._checkpoint = Checkpoint.load(self.source, "cpu", dtype)

    def close(self) -> None:
        """Finishes what is being decoded and releases the batcher."""
        with self._lock:
            self._close_batcher(drain=True)

    def _discard_lost_batcher(self) -> None:
        import gc

        import torch

        log.warning("the device was lost: loading the model again")
        self._close_batcher(drain=False)
        self._checkpoint = None  # its weights were on that device
        self._was_lost = True
        gc.collect()
        with suppress(Exception):  # otherwise torch's cached memory would look used
            torch.cuda.empty_cache()

    def _close_batcher(self, drain: bool) -> None:
        if self._batcher is not None:
            self._batcher.close(drain)
            atexit.unregister(self._batcher.close)
            self._batcher = None

    def _create_batcher(self) -> Any:
        try:
            import torch

            from gpu.kyutai.batching import Batcher
            from gpu.kyutai.checkpoint import Checkpoint
            from gpu.torch_errors import engine_error
        except ImportError as error:
            raise EngineUnavailable(
                f"STT_ENGINE=kyutai needs torch and transformers: pip install '.[kyutai]' ({error})"
            ) from error
        try:
            device = self.device or ("cuda" if torch.cuda.is_available() else "cpu")
            loaded = self._checkpoint or Checkpoint.load(self.source, device)
            batcher = Batcher(loaded.to(device), MAX_WINDOW_S, self.rows or None)
        except OutOfMemory:
            raise
        except Exception as error:
            if self._was_lost:
                raise DeviceUnrecoverable(
                    f"the device is lost, restart the process: {error}"
                ) from error
            if isinstance(error, EngineError):
                raise
            raise engine_error("the model cannot be started", error, EngineUnavailable) from error
        # Its threads must not be in the middle of a step when the interpreter exits.
        atexit.register(batcher.close, drain=False)
        return batcher


def _read(audio: Audio, window: Span) -> np.ndarray[Any, Any]:
    """The samples of a window as float32 in -1..1."""
    return pcm.read_samples(audio.path, window.start, window.end).astype(np.float32) / 32768
