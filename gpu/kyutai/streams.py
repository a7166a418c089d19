"""The streams that occupy the rows of a decoder: windows of recordings, and stretches of live
speech."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gpu.kyutai.jobs import BatchedJob, Job, LiveJob
from gpu.types import Word
from gpu.windows import Window
from gpu.words import WordBuilder

if TYPE_CHECKING:
    import torch

    from gpu.kyutai.checkpoint import Checkpoint, CodecStream


class Stream(ABC):
    """Audio that is decoded from a fresh state. It belongs to the threads of a batcher."""

    def __init__(self, job: BatchedJob, start: float) -> None:
        """`start` is where it begins in the recording, in seconds."""
        self.job, self.start = job, start
        self.frames = 0  # that the decoder has received
        self.is_complete = False  # no more frames will come
        self.steps = 0  # that have been started
        self.tokens = 0  # that have arrived
        self.builder: WordBuilder | None = None

    @property
    def can_step(self) -> bool:
        """Whether the decoder has the frame that its next step needs."""
        return self.steps < self.frames

    @property
    def needs_row(self) -> bool:
        """Whether it has steps left to take."""
        return not self.job.is_over and not (self.is_complete and self.steps == self.frames)

    @property
    def has_all_tokens(self) -> bool:
        """Whether the words are complete."""
        return self.is_complete and self.tokens == self.frames

    def push(self, token: int) -> None:
        """Adds the token of its next step; passes on the words that it completes."""
        assert self.builder is not None  # noqa: S101 - it has a row
        words = list(self.builder.push(token))
        self.tokens += 1
        is_finished = self.has_all_tokens
        if is_finished:
            words += self.builder.finish()
        if words or is_finished:
            self.add_words(words, is_finished)

    @abstractmethod
    def add_words(self, words: Sequence[Word], is_finished: bool) -> None:
        """Passes on words; `is_finished` after its last ones."""


class WindowStream(Stream):
    """One window of a recording: first it is encoded, then it occupies a row."""

    job: Job

    def __init__(self, job: Job, index: int, window: Window) -> None:
        """`index` is that of the window in the job."""
        super().__init__(job, window.start)
        self.index, self.window = index, window
        self.codes: torch.Tensor | None = None
        self.encode_seconds = 0.0

    def add_words(self, words: Sequence[Word], is_finished: bool) -> None:
        """See `Stream`."""
        self.job.add_words(self.index, words, is_finished)


class LiveStream(Stream):
    """A stretch of live speech: it gets a row as soon as one is free, then samples become codes,
    and codes tokens, as they arrive.

    Its tokens are the same as those of a window with the same samples. A session calls `feed`,
    `close` and `take`; the other methods belong to the batcher, which holds `changed` while it
    calls them.
    """

    job: LiveJob

    def __init__(
        self, job: LiveJob, start: float, checkpoint: Checkpoint, changed: threading.Condition
    ) -> None:
        super().__init__(job, start)
        self.row: int | None = None
        self.codec: CodecStream | None = None
        self.encoded: list[torch.Tensor] = []  # codes that the decoder will get
        self.encoded_frames = 0  # including those that it already has
        self.served = 0  # when it was encoded last: see LiveEncoder
        self.end = float("inf")  # seconds
        self.began = time.monotonic()
        self._changed = changed
        self._rate, self._frame_samples = checkpoint.rate, checkpoint.frame_samples
        before, self._after = checkpoint.silence_around
        self._samples = _SampleQueue()  # not encoded yet
        self._samples.put(np.zeros(before, np.float32))
        self._is_closed = False
        self._words: list[Word] = []
        self._pending: list[Word] = []
        self._is_finished = False

    # --- For the session ------------------------------------------------------------------------

    def feed(self, samples: np.ndarray[Any, Any]) -> None:
        """Adds float32 samples in -1..1."""
        with self._changed:
            self._samples.put(samples)
            self._changed.notify_all()

    def close(self, end: float) -> None:
        """No more samples follow; they end at `end` (seconds). Its last words now come without the
        delay of the model."""
        with self._changed:
            self.end = end
            self._is_closed = True
            self._samples.put(np.zeros(self._after, np.float32))
            self._changed.notify_all()

    def take(self) -> tuple[list[Word], list[Word], bool]:
        """The words since the last call, those after them that may not be complete, and whether
        there will be no more.

        Raises the EngineError that ended the session.
        """
        with self._changed:
            if self.job.error:
                raise self.job.error
            words, self._words = self._words, []
            return words, self._pending, self._is_finished

    def wait(self, timeout: float) -> None:
        """Wait until `take` may return something, at most `timeout` seconds."""
        with self._changed:
            if not self._words and not self._is_finished and not self.job.error:
                self._changed.wait(timeout)

    @property
    def backlog(self) -> float:
        """Seconds of audio that are not encoded yet."""
        return len(self._samples) / self._rate

    # --- For the batcher ------------------------------------------------------------------------

    @property
    def can_step(self) -> bool:
        """While it is open, its newest frame is used immediately: the step at position p needs
        frame p - 1. A window leaves its last frame unused."""
        return self.steps < self.frames + (not self._is_closed)

    def frames_to_encode(self, ring_frames: int) -> int:
        """The number of whole frames that have arrived and for which the row has room."""
        unread = self.encoded_frames - max(0, self.steps - 1)
        return min(len(self._samples) // self._frame_samples, ring_frames - unread)

    def next_samples(self, frames: int) -> np.ndarray[Any, Any]:
        """The samples of the next `frames` frames."""
        return self._samples.take(frames * self._frame_samples)

    @property
    def is_encoded(self) -> bool:
        """Whether no frame will follow. The rest of the samples is less than a frame."""
        return self._is_closed and len(self._samples) < self._frame_samples

    def push(self, token: int) -> None:
        """See `Stream`."""
        super().push(token)
        if self.builder and token != self.builder.vocabulary.padding:
            with self._changed:
                self._pending = [] if self._is_finished else list(self.builder.pending())

    def add_words(self, words: Sequence[Word], is_finished: bool) -> None:
        """See `Stream`."""
        with self._changed:
            self._words += words
            self._pending = []
            self._is_finished = is_finished
            self._changed.notify_all()


class _SampleQueue:
    """Samples in pieces of any size."""

    def __init__(self) -> None:
        self._pieces: deque[np.ndarray[Any, Any]] = deque()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def put(self, samples: np.ndarray[Any, Any]) -> None:
        self._pieces.append(samples)
        self._length += len(samples)

    def take(self, count: int) -> np.ndarray[Any, Any]:
        """The first `count` samples."""
        taken, missing = [], count
        while missing:
            piece = self._pieces.popleft()
            taken.append(piece[:missing])
            if len(piece) > missing:
                self._pieces.appendleft(piece[missing:])
            missing -= len(taken[-1])
        self._length -= count
        return np.concatenate(taken)
