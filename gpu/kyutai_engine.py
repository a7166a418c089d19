"""Kyutai STT on the local machine: the engine behind STT_ENGINE=kyutai."""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np

from gpu import config, pcm
from gpu.metering import metered
from gpu.segments import growing_segments, segments_of
from gpu.types import (
    Audio,
    Complete,
    DeviceGone,
    EngineError,
    EngineEvent,
    EngineUnavailable,
    Metadata,
    OutOfMemory,
    Span,
    Spent,
    UnsupportedLanguage,
)
from gpu.windows import Window, pack
from gpu.words import in_order, within_speech

log = logging.getLogger(__name__)

LANGUAGE = "en"  # the only one that the model knows
WINDOW = 60.0  # seconds
# Seconds that a recording may take: a fixed part, and one for each second of it.
PATIENCE, PATIENCE_PER_SECOND = 120.0, 10.0


class KyutaiEngine:
    """One model and one batcher for all threads of the process, made at the first use."""

    name = "kyutai"

    def __init__(
        self,
        source: str = config.STT_MODEL_ID,
        device: str = config.STT_DEVICE,
        rows: int = config.STT_ROWS,
    ) -> None:
        self.source, self.device, self.rows = source, device, rows
        self._loading = threading.Lock()
        self._checkpoint: Any = None
        self._batcher: Any = None
        self._was_lost = False

    def stream(self, audio: Audio, stopped: Callable[[], bool]) -> Iterator[EngineEvent]:
        """See `gpu.types.Engine`."""
        if (audio.language or LANGUAGE) != LANGUAGE:
            raise UnsupportedLanguage(f"{self.source} knows English only, not {audio.language!r}")
        batcher = self.batcher()
        windows = [
            Window(span.start, partial(_samples, audio, span)) for span in pack(audio.spans, WINDOW)
        ]
        yield Metadata(LANGUAGE, self.source.rstrip("/").rsplit("/", 1)[-1])
        job = batcher.submit(windows, PATIENCE + PATIENCE_PER_SECOND * audio.duration)
        words = in_order(within_speech(job.words(stopped), audio.spans))
        segments = (growing_segments if config.STT_PARTIALS else segments_of)(words)

        def used() -> Spent:
            return Spent(job.device_seconds, queue_seconds=job.queue_seconds or 0.0)

        yield from metered(segments, used)
        spoken = sum(span.end - span.start for span in audio.spans)
        yield Complete(spoken, used().decode_seconds, used().queue_seconds)

    def batcher(self) -> Any:
        """The batcher, with the model loaded; made anew after its device was lost.

        Raises EngineUnavailable, DeviceGone if it cannot be made anew, and OutOfMemory.
        """
        with self._loading:
            if self._batcher is not None and self._batcher.is_lost:
                self._forget_lost()
            if self._batcher is None:
                self._batcher = self._start()
                self._was_lost = False
            return self._batcher

    def load(self, half_precision: bool) -> None:
        """Into main memory only, to be moved to the device at the first use."""
        import torch

        from gpu.kyutai import Checkpoint

        dtype = torch.bfloat16 if half_precision else torch.float32
        self._checkpoint = Checkpoint.load(self.source, "cpu", dtype)

    def close(self) -> None:
        """Finishes what is being decoded and lets go of the model."""
        with self._loading:
            self._let_go(drain=True)

    def _forget_lost(self) -> None:
        import gc

        import torch

        log.warning("the model is loaded anew, as its device was lost")
        self._let_go(drain=False)
        self._checkpoint = None  # its weights were on that device
        self._was_lost = True
        gc.collect()
        with suppress(Exception):  # or what torch keeps for itself would look used
            torch.cuda.empty_cache()

    def _let_go(self, drain: bool) -> None:
        if self._batcher is not None:
            self._batcher.close(drain)
            atexit.unregister(self._batcher.close)
            self._batcher = None

    def _start(self) -> Any:
        try:
            import torch

            from gpu.batching import Batcher, failure
            from gpu.kyutai import Checkpoint
        except ImportError as error:
            raise EngineUnavailable(
                f"STT_ENGINE=kyutai needs torch and transformers: pip install '.[kyutai]' ({error})"
            ) from error
        try:
            device = self.device or ("cuda" if torch.cuda.is_available() else "cpu")
            loaded = self._checkpoint or Checkpoint.load(self.source, device)
            batcher = Batcher(loaded.to(device), WINDOW, self.rows or None)
        except OutOfMemory:
            raise
        except Exception as error:
            if self._was_lost:
                raise DeviceGone(f"start another process, the device is lost: {error}") from error
            if isinstance(error, EngineError):
                raise
            raise failure("the model cannot be started", error, EngineUnavailable) from error
        # Its threads may not be in the midst of a step when the interpreter goes.
        atexit.register(batcher.close, drain=False)
        return batcher


def _samples(audio: Audio, window: Span) -> np.ndarray[Any, Any]:
    return pcm.read(audio.path, window.start, window.end).astype(np.float32) / 32768
