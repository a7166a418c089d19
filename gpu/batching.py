"""Continuous batching: windows of many recordings decoded side by side on one device.

A recording is a job of several windows. Two threads serve all jobs: one encodes windows ahead of
need, the other steps the decoder and hands out words. A row that becomes free goes to the job that
has the fewest, and the last rows are kept for jobs that have none, so a long recording cannot
starve a short one. Words leave a job in order of time although its windows are decoded at once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any

import torch

from gpu.kyutai import Checkpoint, RingDecoder, rows_that_fit
from gpu.metering import DeviceClock
from gpu.types import (
    Cancelled,
    DeadlineExceeded,
    DeviceLost,
    EngineError,
    EngineUnavailable,
    OutOfMemory,
    Word,
)
from gpu.windows import Window
from gpu.words import WordBuilder

log = logging.getLogger(__name__)

POLL = 0.1  # seconds between two looks at whether a reader still wants its words


@dataclass(eq=False, slots=True)
class _Stream:
    """One window on its way: encoded, then in a row, then done."""

    job: Job
    index: int
    window: Window
    codes: torch.Tensor | None = None
    left: int = 0  # steps that are still to be taken
    unread: int = 0  # tokens that are still to be read
    encoding: float = 0.0  # seconds that this took
    builder: WordBuilder | None = None


@dataclass(eq=False)
class Job:
    """One recording's windows, and its words as they become known."""

    windows: deque[tuple[int, Window]]
    deadline: float  # on the monotonic clock
    _wake: threading.Condition
    rows: int = 0  # rows held and windows being encoded
    device_seconds: float = 0.0  # its share of what codec and decoder have taken
    queue_seconds: float | None = None  # how long its first window waited for codec and row
    error: EngineError | None = None
    _began: float = field(default_factory=time.monotonic)
    _count: int = 0
    _front: int = 0  # the window whose words may leave
    _kept: dict[int, list[Word]] = field(default_factory=dict)
    _done: set[int] = field(default_factory=set)
    _ready: deque[Word] = field(default_factory=deque)

    @property
    def is_over(self) -> bool:
        """Whether nothing of it needs to be decoded any more."""
        return self.error is not None or self._front >= self._count

    def words(self, stopped: Callable[[], bool] = lambda: False) -> Iterator[Word]:
        """The words in order. Raises what ended the job early; Cancelled once `stopped()`."""
        try:
            while True:
                word = self._next(stopped)
                if word is None:
                    return
                yield word
        finally:
            self.cancel()  # a reader that went away wants no more words

    def cancel(self) -> None:
        """Frees its rows before the next step. What is over already stays as it is."""
        self._fail(Cancelled("the reader has gone away"))

    def _next(self, stopped: Callable[[], bool]) -> Word | None:
        while True:
            if stopped():
                self.cancel()
            with self._wake:
                if self._ready and not isinstance(self.error, Cancelled):
                    return self._ready.popleft()
                if self.error:
                    raise self.error
                if self._front >= self._count:
                    return None
                self._wake.wait(POLL)
            if time.monotonic() > self.deadline:
                self._fail(DeadlineExceeded("the deadline has passed"))

    def _fail(self, error: EngineError) -> None:
        with self._wake:
            if not self.is_over:
                self.error = error
                self._wake.notify_all()

    def _take(self, index: int, words: Sequence[Word], done: bool) -> None:
        """Words of a window: they leave at once if it is the front one, else they are kept."""
        with self._wake:
            self._kept.setdefault(index, []).extend(words)
            if done:
                self._done.add(index)
            while self._front < self._count:
                self._ready.extend(self._kept.pop(self._front, ()))
                if self._front not in self._done:
                    break
                self._done.discard(self._front)
                self._front += 1
            self._wake.notify_all()


def failure(what: str, error: Exception, otherwise: type[EngineError] = EngineError) -> EngineError:
    """Memory that is full just now may have room again, and a device that is lost may be another
    one's; everything else is said as it is."""
    if isinstance(error, torch.OutOfMemoryError):
        kind: type[EngineError] = OutOfMemory
    elif isinstance(error, torch.AcceleratorError) or "CUDA error" in str(error):
        kind = DeviceLost
    else:
        kind = otherwise
    return kind(f"{what}: {error!r}")


def _use(device: torch.device) -> None:
    """Streams, events and graphs of this thread are those of that GPU, and not of the first one."""
    if device.type == "cuda":
        torch.cuda.set_device(device)


class Batcher:
    """Owns the decoder of one device. Thread-safe."""

    def __init__(self, checkpoint: Checkpoint, longest: float, rows: int | None = None) -> None:
        """Windows may be up to `longest` seconds; `rows` are chosen from free memory if not given.

        Raises EngineUnavailable without enough memory. `is_lost` says later that the device itself
        has failed: then model and batcher are to be made anew.
        """
        self.is_lost = False
        self._clock = DeviceClock()
        self.checkpoint = checkpoint
        self.longest = longest
        _use(checkpoint.device)
        self._frames = checkpoint.frames(longest) + 1
        self.rows = rows or rows_that_fit(checkpoint, self._frames)
        # Rows for jobs that have none yet.
        self._reserve = max(1, self.rows // 8) if self.rows >= 4 else 0
        self._decoder = RingDecoder(checkpoint, self.rows, self._frames)
        self._side = torch.cuda.Stream() if checkpoint.device.type == "cuda" else None
        self._seats: list[_Stream | None] = [None] * self.rows
        self._jobs: list[Job] = []
        self._encoded: deque[_Stream] = deque()
        self._encoding = 0
        self._closing = False
        self._work = threading.Condition()
        self._threads = [
            threading.Thread(
                target=self._run, args=(work,), daemon=True, name=f"kyutai-{work.__name__[1:]}"
            )
            for work in (self._encode, self._decode)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, windows: Sequence[Window], deadline: float = float("inf")) -> Job:
        """A new recording; `deadline` in seconds from now. Raises EngineUnavailable when closed."""
        job = Job(
            deque(enumerate(windows)),
            time.monotonic() + deadline,
            threading.Condition(),
            _count=len(windows),
        )
        with self._work:
            if self._closing:
                raise EngineUnavailable("the engine is shutting down")
            self._jobs.append(job)
            self._work.notify_all()
        return job

    def close(self, drain: bool = True) -> None:
        """Takes no new work; finishes what there is, or cancels it; then ends its threads."""
        with self._work:
            self._closing = True
            jobs = [] if drain else list(self._jobs)
            self._work.notify_all()
        for job in jobs:
            job.cancel()
        for thread in self._threads:
            thread.join()

    def _run(self, work: Callable[[], None]) -> None:
        _use(self.checkpoint.device)
        work()

    # --- Encoding, ahead of the decoder ---------------------------------------------------------

    def _encode(self) -> None:
        while True:
            stream = self._next_window()
            if stream is None:
                return
            began = time.monotonic()
            self._clock.works_for("codec", [stream.job])
            try:
                if not stream.job.is_over:
                    stream.codes = self._codes(stream)
                    stream.left = stream.unread = len(stream.codes)
            except Cancelled:
                pass  # its job is over already
            except Exception as error:  # whatever it is, it must not end the other jobs
                log.exception("a window could not be encoded")
                problem = failure("a window could not be encoded", error)
                self.is_lost = self.is_lost or isinstance(problem, DeviceLost)
                stream.job._fail(problem)
            self._clock.works_for("codec", [])
            stream.encoding = time.monotonic() - began
            with self._work:
                self._encoding -= 1
                if stream.codes is None:
                    stream.job.rows -= 1
                else:
                    self._encoded.append(stream)
                self._work.notify_all()

    def _codes(self, stream: _Stream) -> torch.Tensor:
        """On a CUDA stream of its own, so that no step has to wait for it."""
        samples = stream.window.read()
        seconds = len(samples) / self.checkpoint.rate
        if self.checkpoint.frames(seconds) > self._frames:
            raise ValueError(f"it has {seconds:.1f} s, and {self.longest:.0f} s are the most")
        with nullcontext() if self._side is None else torch.cuda.stream(self._side):
            codes = self.checkpoint.encode(samples, lambda: stream.job.is_over)
        if self._side is not None:
            self._side.synchronize()
        return codes

    def _next_window(self) -> _Stream | None:
        """Waits until one is wanted: there is a free row for it, or one may soon be."""
        with self._work:
            while True:
                job = self._hungriest()
                ahead = len(self._encoded) + self._encoding
                if job and ahead < self._seats.count(None) + 1:
                    index, window = job.windows.popleft()
                    job.rows += 1
                    self._jobs.remove(job)  # the others come first, next time
                    self._jobs.append(job)
                    self._encoding += 1
                    return _Stream(job, index, window)
                if self._closing and not self._jobs:
                    return None
                self._work.wait(POLL)

    def _hungriest(self) -> Job | None:
        """The job with the fewest rows, and among those the one that was served longest ago; one
        that has some leaves the reserve."""
        waiting = [job for job in self._jobs if job.windows and not job.is_over]
        if not waiting:
            return None
        job = min(waiting, key=lambda job: job.rows)
        taken = sum(job.rows for job in self._jobs)
        return job if not job.rows or taken < self.rows - self._reserve else None

    # --- Decoding -------------------------------------------------------------------------------

    def _decode(self) -> None:
        before: tuple[list[tuple[int, _Stream]], torch.Tensor, Any] | None = None
        while True:
            after, seated = None, []
            try:
                self._seat()
                seated = [(row, stream) for row, stream in enumerate(self._seats) if stream]
                self._clock.works_for("decoder", [stream.job for _, stream in seated])
                if not seated and not before:
                    if not self._wait_for_work():
                        return
                    continue
                if seated:
                    after = (seated, *self._step(seated))
                # The words of the step before are put together while this one runs.
                if before:
                    self._hand_out(*before)
            except Exception as error:  # the device is lost for all who were on it
                log.exception("the decoder failed")
                problem = failure("the decoder failed", error, otherwise=DeviceLost)
                self.is_lost = self.is_lost or isinstance(problem, DeviceLost)
                self._drop_all(problem)
                after = None
            before = after

    def _wait_for_work(self) -> bool:
        """False when there will be none."""
        with self._work:
            if self._closing and not self._jobs:
                return False
            if not self._encoded:
                self._work.wait(POLL)
            self._forget_finished()
            return True

    def _forget_finished(self) -> None:
        if any(job.is_over for job in self._jobs):
            self._jobs = [job for job in self._jobs if not job.is_over]
            self._work.notify_all()

    def _seat(self) -> None:
        """Rows of jobs that are over become free, and encoded windows take free rows."""
        now = time.monotonic()
        with self._work:
            for job in self._jobs:
                if now > job.deadline:
                    job._fail(DeadlineExceeded("the deadline has passed"))
            for row, stream in enumerate(self._seats):
                if stream and (stream.job.is_over or not stream.left):
                    self._leave(row, stream)
            while self._encoded and None in self._seats:
                self._join(self._seats.index(None), self._encoded.popleft())
            self._forget_finished()

    def _join(self, row: int, stream: _Stream) -> None:
        assert stream.codes is not None  # noqa: S101 - the encoder's promise
        if stream.job.is_over:
            stream.job.rows -= 1
            return
        if stream.job.queue_seconds is None:
            stream.job.queue_seconds = time.monotonic() - stream.job._began - stream.encoding
        self._decoder.join(row, stream.codes)
        stream.codes = None
        stream.builder = WordBuilder(self.checkpoint, self.checkpoint.timing, stream.window.start)
        self._seats[row] = stream

    def _leave(self, row: int, stream: _Stream) -> None:
        self._decoder.leave(row)
        self._seats[row] = None
        stream.job.rows -= 1
        self._work.notify_all()

    def _step(self, seated: list[tuple[int, _Stream]]) -> tuple[torch.Tensor, Any]:
        """Starts a step and the copy of its tokens; how many steps a row has left is known here,
        so nothing has to wait for the device."""
        tokens = self._decoder.step()
        for _, stream in seated:
            stream.left -= 1
        if tokens.device.type != "cuda":
            return tokens.clone(), None
        copied: Any = torch.cuda.Event()
        host = torch.empty(tokens.shape, dtype=tokens.dtype, pin_memory=True)
        host.copy_(tokens, non_blocking=True)
        copied.record()
        return host, copied

    def _hand_out(
        self, seated: list[tuple[int, _Stream]], tokens: torch.Tensor, copied: Any
    ) -> None:
        if copied is not None:
            copied.synchronize()
        every = tokens.tolist()
        for row, stream in seated:
            self._hand_out_one(stream, every[row])

    def _hand_out_one(self, stream: _Stream, token: int) -> None:
        builder = stream.builder
        if builder is None or stream.job.is_over:
            return
        try:
            words = list(builder.push(token))
            stream.unread -= 1
            done = not stream.unread
            if done:
                words += builder.finish()
        except Exception as error:  # one bad stream ends alone
            log.exception("a window's words could not be built")
            stream.job._fail(EngineError(f"a window's words could not be built: {error!r}"))
            return
        if words or done:
            stream.job._take(stream.index, words, done)

    def _drop_all(self, error: EngineError) -> None:
        """Everybody is told, and nothing of it is left to be tried again."""
        with self._work:
            for job in self._jobs:
                job._fail(error)
            for row, stream in enumerate(self._seats):
                if stream:
                    with suppress(Exception):  # the device may be lost for good
                        self._decoder.leave(row)
                    self._seats[row] = None
                    stream.job.rows -= 1
            self._forget_finished()
