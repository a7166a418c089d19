"""Kyutai STT on the local machine: the engine behind STT_ENGINE=kyutai."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from gpu import config, pcm
from gpu.segments import growing_segments, segments_of
from gpu.types import (
    Audio,
    Complete,
    EngineEvent,
    EngineUnavailable,
    Metadata,
    Span,
    UnsupportedLanguage,
)
from gpu.windows import Window, pack
from gpu.words import within_speech

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
        self._batcher: Any = None

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
        words = within_speech(job.words(stopped), audio.spans)
        yield from (growing_segments if config.STT_PARTIALS else segments_of)(words)
        spoken = sum(span.end - span.start for span in audio.spans)
        yield Complete(audio_seconds=spoken, decode_seconds=job.compute_seconds)

    def batcher(self) -> Any:
        """The batcher, with the model loaded. Raises EngineUnavailable."""
        with self._loading:
            if self._batcher is None:
                self._batcher = self._load()
            return self._batcher

    def close(self) -> None:
        """Finishes what is being decoded and lets go of the model."""
        with self._loading:
            if self._batcher is not None:
                self._batcher.close()
                self._batcher = None

    def _load(self) -> Any:
        try:
            import torch

            from gpu.batching import Batcher
            from gpu.kyutai import Checkpoint
        except ImportError as error:
            raise EngineUnavailable(
                f"STT_ENGINE=kyutai needs torch and transformers: pip install '.[kyutai]' ({error})"
            ) from error
        device = self.device or ("cuda" if torch.cuda.is_available() else "cpu")
        return Batcher(Checkpoint.load(self.source, device), WINDOW, self.rows or None)


def _samples(audio: Audio, window: Span) -> np.ndarray[Any, Any]:
    return pcm.read(audio.path, window.start, window.end).astype(np.float32) / 32768
