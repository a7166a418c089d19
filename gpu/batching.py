"""Continuous batching: windows of many recordings are decoded together on one device.

A recording is a job with several windows. Two threads serve all jobs: one encodes windows ahead of
the decoder, the other steps the decoder and returns words. A free row goes to the job with the
fewest rows, and the last rows are reserved for jobs that have none, so a long recording cannot
starve a short one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass

import torch

from gpu.jobs import POLL_INTERVAL_S, Job
from gpu.kyutai import Checkpoint, RingDecoder, rows_that_fit
from gpu.metering import DeviceClock
from gpu.torch_errors import engine_error
from gpu.types import Cancelled, DeviceLost, EngineError, EngineUnavailable
from gpu.windows import Window
from gpu.words import WordBuilder

log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Stream:
    """One window of a job: first it is encoded, then it occupies a row, then it is finished."""

    job: Job
    index: int  # of the window in the job
    window: Window
    codes: torch.Tensor | None = None
    steps_left: int = 0
    tokens_left: int = 0  # of steps that have been started, or will be
    encode_seconds: float = 0.0
    builder: WordBuilder | None = None


@dataclass(frozen=True, slots=True)
class _Step:
    """A step that was started: its streams by row, and its tokens once `copied`."""

    streams: list[tuple[int, _Stream]]
    tokens: torch.Tensor
    copied: torch.cuda.Event | None  # None on the CPU, where the tokens are there at once


def _set_device(device: torch.device) -> None:
    """CUDA streams, events and graphs of this thread belong to that GPU, not to the first one."""
    if device.type == "cuda":
        torch.cuda.set_device(device)


class Batcher:
    """Owns the decoder of one device. Thread-safe."""

    def __init__(
        self, checkpoint: Checkpoint, max_window_s: float, rows: int | None = None
    ) -> None:
        """Windows may be up to `max_window_s` long; `rows` default to what fits into memory.

        Raises EngineUnavailable without enough memory. Once `is_lost` is true, the device has
        failed: then model and batcher have to be created again.
        """
        self.is_lost = False
        self._clock = DeviceClock()
        self.checkpoint = checkpoint
        self.max_window_s = max_window_s
        _set_device(checkpoint.device)
        self._max_frames = checkpoint.frames(max_window_s) + 1
        self.rows = rows or rows_that_fit(checkpoint, self._max_frames)
        # Rows for jobs that have none yet.
        self._reserved_rows = max(1, self.rows // 8) if self.rows >= 4 else 0
        self._decoder = RingDecoder(checkpoint, self.rows, self._max_frames)
        self._codec_stream = torch.cuda.Stream() if checkpoint.device.type == "cuda" else None
        self._streams: list[_Stream | None] = [None] * self.rows  # by row
        self._jobs: list[Job] = []
        self._encoded: deque[_Stream] = deque()
        self._encoding = 0  # windows
        self._closing = False
        self._changed = threading.Condition()
        self._threads = [
            threading.Thread(
                target=self._run, args=(work,), daemon=True, name=f"kyutai-{work.__name__[1:]}"
            )
            for work in (self._encode, self._decode)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, windows: Sequence[Window], deadline: float = float("inf")) -> Job:
        """Adds a recording; `deadline` in seconds from now. Raises EngineUnavailable if closed."""
        job = Job(windows, deadline)
        with self._changed:
            if self._closing:
                raise EngineUnavailable("the engine is shutting down")
            self._jobs.append(job)
            self._changed.notify_all()
        return job

    def close(self, drain: bool = True) -> None:
        """Takes no new jobs, finishes or (without `drain`) cancels the others; ends its threads."""
        with self._changed:
            self._closing = True
            jobs = [] if drain else list(self._jobs)
            self._changed.notify_all()
        for job in jobs:
            job.cancel()
        for thread in self._threads:
            thread.join()

    def _run(self, work: Callable[[], None]) -> None:
        _set_device(self.checkpoint.device)
        work()

    # --- Encoding, ahead of the decoder ---------------------------------------------------------

    def _encode(self) -> None:
        while True:
            stream = self._next_window()
            if stream is None:
                return
            started = time.monotonic()
            self._clock.set_jobs("codec", [stream.job])
            try:
                if not stream.job.is_over:
                    stream.codes = self._encode_window(stream)
                    stream.steps_left = stream.tokens_left = len(stream.codes)
            except Cancelled:
                pass  # the job is over already
            except Exception as error:  # it must not end the other jobs
                log.exception("a window could not be encoded")
                problem = engine_error("a window could not be encoded", error)
                self.is_lost = self.is_lost or isinstance(problem, DeviceLost)
                stream.job.fail(problem)
            self._clock.set_jobs("codec", [])
            stream.encode_seconds = time.monotonic() - started
            with self._changed:
                self._encoding -= 1
                if stream.codes is None:
                    stream.job.rows -= 1
                else:
                    self._encoded.append(stream)
                self._changed.notify_all()

    def _encode_window(self, stream: _Stream) -> torch.Tensor:
        """Codes [frames, codebooks]. Uses its own CUDA stream: no step has to wait for it."""
        samples = stream.window.read()
        seconds = len(samples) / self.checkpoint.rate
        if self.checkpoint.frames(seconds) > self._max_frames:
            raise ValueError(f"it has {seconds:.1f} s, the maximum is {self.max_window_s:.0f} s")
        side = self._codec_stream
        with nullcontext() if side is None else torch.cuda.stream(side):
            codes = self.checkpoint.encode(samples, lambda: stream.job.is_over)
        if side is not None:
            side.synchronize()
        return codes

    def _next_window(self) -> _Stream | None:
        """Waits until a row is free for another window, or may soon be; None after the last."""
        with self._changed:
            while True:
                job = self._next_job()
                ahead = len(self._encoded) + self._encoding
                if job and ahead < self._streams.count(None) + 1:
                    index, window = job.windows.popleft()
                    job.rows += 1
                    self._jobs.remove(job)  # behind the others
                    self._jobs.append(job)
                    self._encoding += 1
                    return _Stream(job, index, window)
                if self._closing and not self._jobs:
                    return None
                self._changed.wait(POLL_INTERVAL_S)

    def _next_job(self) -> Job | None:
        """The job with the fewest rows, and among those the one that was served longest ago.

        None if only reserved rows are left and the job has rows already.
        """
        waiting = [job for job in self._jobs if job.windows and not job.is_over]
        if not waiting:
            return None
        job = min(waiting, key=lambda job: job.rows)
        taken = sum(job.rows for job in self._jobs)
        return job if not job.rows or taken < self.rows - self._reserved_rows else None

    # --- Decoding -------------------------------------------------------------------------------

    def _decode(self) -> None:
        previous: _Step | None = None
        while True:
            current = None
            try:
                self._update_rows()
                streams = [(row, stream) for row, stream in enumerate(self._streams) if stream]
                self._clock.set_jobs("decoder", [stream.job for _, stream in streams])
                if not streams and not previous:
                    if not self._wait_for_work():
                        return
                    continue
                if streams:
                    current = self._start_step(streams)
                # The words of the previous step are built while this one runs.
                if previous:
                    self._deliver(previous)
            except Exception as error:  # the device is lost for all jobs that use it
                log.exception("the decoder failed")
                problem = engine_error("the decoder failed", error, default=DeviceLost)
                self.is_lost = self.is_lost or isinstance(problem, DeviceLost)
                self._fail_all(problem)
                current = None
            previous = current

    def _wait_for_work(self) -> bool:
        """Returns False if there will be none."""
        with self._changed:
            if self._closing and not self._jobs:
                return False
            if not self._encoded:
                self._changed.wait(POLL_INTERVAL_S)
            self._remove_finished_jobs()
            return True

    def _remove_finished_jobs(self) -> None:
        if any(job.is_over for job in self._jobs):
            self._jobs = [job for job in self._jobs if not job.is_over]
            self._changed.notify_all()

    def _update_rows(self) -> None:
        """Frees the rows of finished streams, and gives free rows to encoded windows."""
        with self._changed:
            for job in self._jobs:
                job.check_deadline()
            for row, stream in enumerate(self._streams):
                if stream and (stream.job.is_over or not stream.steps_left):
                    self._leave(row, stream)
            while self._encoded and None in self._streams:
                self._join(self._streams.index(None), self._encoded.popleft())
            self._remove_finished_jobs()

    def _join(self, row: int, stream: _Stream) -> None:
        job = stream.job
        assert stream.codes is not None  # noqa: S101 - it was encoded
        if job.is_over:
            job.rows -= 1
            return
        if job.queue_seconds is None:
            job.queue_seconds = time.monotonic() - job.submitted - stream.encode_seconds
        self._decoder.join(row, stream.codes)
        stream.codes = None
        stream.builder = WordBuilder(self.checkpoint, self.checkpoint.timing, stream.window.start)
        self._streams[row] = stream

    def _leave(self, row: int, stream: _Stream) -> None:
        self._decoder.leave(row)
        self._streams[row] = None
        stream.job.rows -= 1
        self._changed.notify_all()

    def _start_step(self, streams: list[tuple[int, _Stream]]) -> _Step:
        """Starts a step and the copy of its tokens, without waiting for the device."""
        tokens = self._decoder.step()
        for _, stream in streams:
            stream.steps_left -= 1
        if tokens.device.type != "cuda":
            return _Step(streams, tokens.clone(), None)
        copied = torch.cuda.Event()
        host = torch.empty(tokens.shape, dtype=tokens.dtype, pin_memory=True)
        host.copy_(tokens, non_blocking=True)
        copied.record()
        return _Step(streams, host, copied)

    def _deliver(self, step: _Step) -> None:
        """Waits for the tokens of a step and passes their words to the jobs."""
        if step.copied is not None:
            step.copied.synchronize()
        tokens = step.tokens.tolist()
        for row, stream in step.streams:
            self._deliver_token(stream, tokens[row])

    def _deliver_token(self, stream: _Stream, token: int) -> None:
        builder = stream.builder
        if builder is None or stream.job.is_over:
            return
        try:
            words = list(builder.push(token))
            stream.tokens_left -= 1
            is_finished = not stream.tokens_left
            if is_finished:
                words += builder.finish()
        except Exception as error:  # it must not end the other jobs
            log.exception("the words of a window could not be built")
            stream.job.fail(EngineError(f"the words of a window could not be built: {error!r}"))
            return
        if words or is_finished:
            stream.job.add_words(stream.index, words, is_finished)

    def _fail_all(self, error: EngineError) -> None:
        """Fails all jobs and frees all rows."""
        with self._changed:
            for job in self._jobs:
                job.fail(error)
            for row, stream in enumerate(self._streams):
                if stream:
                    with suppress(Exception):  # the device may not answer any more
                        self._decoder.leave(row)
                    self._streams[row] = None
                    stream.job.rows -= 1
            self._remove_finished_jobs()
