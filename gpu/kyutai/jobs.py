"""The jobs of a batcher: a recording, with its waiting windows and its words in order of time, or a
live session."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from gpu.types import Cancelled, DeadlineExceeded, EngineError, Word
from gpu.windows import Window

POLL_INTERVAL_S = 0.1  # between two checks whether the reader has stopped


class BatchedJob(ABC):
    """What recordings and live sessions have in common. The counters belong to the batcher."""

    reserved_rows = 0  # rows that count as its own even if it has none

    def __init__(self, windows: Sequence[Window], deadline: float) -> None:
        """`deadline` in seconds from now."""
        self.windows = deque(enumerate(windows))  # windows that were not taken yet
        self.rows = 0  # rows that it occupies, and windows that are being encoded for it
        self.device_seconds = 0.0  # its share of the time of codec and decoder
        self.queue_seconds: float | None = None  # how long it waited for device time
        self.error: EngineError | None = None
        self.submitted = time.monotonic()
        self.deadline = self.submitted + deadline  # on the monotonic clock
        self._changed = threading.Condition()

    @property
    @abstractmethod
    def is_over(self) -> bool:
        """Whether nothing more of it needs to be decoded."""

    def cancel(self) -> None:
        """Ends the job; its rows are freed before the next step. Does nothing if it is over."""
        self.fail(Cancelled("the reader has stopped"))

    def fail(self, error: EngineError) -> None:
        """Ends the job with that error. Does nothing if it is over."""
        with self._changed:
            if not self.is_over:
                self.error = error
                self._changed.notify_all()

    def check_deadline(self) -> None:
        """Fails once the deadline has passed."""
        if time.monotonic() > self.deadline:
            self.fail(DeadlineExceeded("the deadline has passed"))


class Job(BatchedJob):
    """The windows of one recording, decoded in parallel, and its words as they become known.

    The batcher takes windows from `windows` and returns words with `add_words`; a reader takes them
    with `words`. Thread-safe.
    """

    def __init__(self, windows: Sequence[Window], deadline: float = float("inf")) -> None:
        """`deadline` in seconds from now."""
        super().__init__(windows, deadline)
        self._count = len(windows)
        self._current = 0  # the window whose words may be read
        self._pending: dict[int, list[Word]] = {}  # words of later windows
        self._finished: set[int] = set()  # later windows without further words
        self._ready: deque[Word] = deque()

    @property
    def is_over(self) -> bool:
        """Whether no more of its windows need to be decoded."""
        return self.error is not None or self._current >= self._count

    def words(self, stopped: Callable[[], bool] = lambda: False) -> Iterator[Word]:
        """The words in order.

        Raises the EngineError that ended the job early; Cancelled once `stopped()` returns true. A
        generator that is closed early cancels the job.
        """
        try:
            while True:
                word = self._next_word(stopped)
                if word is None:
                    return
                yield word
        finally:
            self.cancel()

    def add_words(self, index: int, words: Sequence[Word], is_finished: bool) -> None:
        """Adds words of the window with that index; `is_finished` after its last ones."""
        with self._changed:
            self._pending.setdefault(index, []).extend(words)
            if is_finished:
                self._finished.add(index)
            while self._current < self._count:
                self._ready.extend(self._pending.pop(self._current, ()))
                if self._current not in self._finished:
                    break
                self._finished.discard(self._current)
                self._current += 1
            self._changed.notify_all()

    def _next_word(self, stopped: Callable[[], bool]) -> Word | None:
        """Waits for it; None after the last one."""
        while True:
            if stopped():
                self.cancel()
            with self._changed:
                if self._ready and not isinstance(self.error, Cancelled):
                    return self._ready.popleft()
                if self.error:
                    raise self.error
                if self._current >= self._count:
                    return None
                self._changed.wait(POLL_INTERVAL_S)
            self.check_deadline()


class LiveJob(BatchedJob):
    """A live session. Its streams begin and end with `Batcher.begin` and `LiveStream.close`.

    While nobody speaks it has no stream. Then a row is reserved, so that the next words do not have
    to wait for windows of recordings.
    """

    reserved_rows = 1

    def __init__(self) -> None:
        super().__init__((), float("inf"))
        self._is_closed = False

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.error is not None or self._is_closed

    def close(self) -> None:
        """Ends it after its last stream is finished."""
        with self._changed:
            self._is_closed = True
