"""Continuous batching: windows of many recordings, and live speech, are decoded together.

A recording is a job with several windows. Three threads serve all jobs: one encodes windows ahead
of the decoder, one encodes live speech as it arrives, and one steps the decoder and returns words.
A free row goes to the job with the fewest rows, and the last rows are reserved for jobs that have
none, so a long recording cannot starve a short one. Live speech gets the next free row. It takes
part in a step only if it has a frame for it: otherwise its row is parked.
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

from gpu.kyutai.checkpoint import Checkpoint
from gpu.kyutai.jobs import POLL_INTERVAL_S, BatchedJob, Job, LiveJob
from gpu.kyutai.live_encoding import LiveEncoder
from gpu.kyutai.ring_decoder import RingDecoder, rows_that_fit
from gpu.kyutai.streams import LiveStream, Stream, WindowStream
from gpu.metering import DeviceClock
from gpu.torch_errors import engine_error
from gpu.types import Cancelled, DeviceLost, EngineError, EngineUnavailable
from gpu.windows import Window
from gpu.words import WordBuilder

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Step:
    """A step that was started: its streams by row, and its tokens once `copied`."""

    streams: list[tuple[int, Stream]]
    tokens: torch.Tensor
    copied: torch.cuda.Event | None  # None on the CPU, where the tokens are available immediately


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
        # Rows reserved for jobs that have none yet.
        self._reserved_rows = max(1, self.rows // 8) if self.rows >= 4 else 0
        self._decoder = RingDecoder(checkpoint, self.rows, self._max_frames)
        self._codec_stream = torch.cuda.Stream() if checkpoint.device.type == "cuda" else None
        self._streams: list[Stream | None] = [None] * self.rows  # by row
        self._jobs: list[BatchedJob] = []
        self._encoded: deque[WindowStream] = deque()
        self._encoding = 0  # windows
        self._begun: deque[LiveStream] = deque()  # those that wait for a row
        self._closing = False
        self._changed = threading.Condition()
        self._live = LiveEncoder(checkpoint, self._clock, self._changed, self._max_frames)
        self._threads = [
            threading.Thread(
                target=self._run, args=(work,), daemon=True, name=f"kyutai-{work.__name__[1:]}"
            )
            for work in (self._encode, self._encode_live, self._decode)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, windows: Sequence[Window], deadline: float = float("inf")) -> Job:
        """Adds a recording; `deadline` in seconds from now. Raises EngineUnavailable if closed."""
        job = Job(windows, deadline)
        self._add(job)
        return job

    def open(self) -> LiveJob:
        """Adds a live session. Raises EngineUnavailable if closed."""
        job = LiveJob()
        self._add(job)
        return job

    def begin(self, job: LiveJob, start: float) -> LiveStream:
        """Begins a stretch of speech at `start` (seconds) of a live session."""
        stream = LiveStream(job, start, self.checkpoint, self._changed)
        with self._changed:
            self._begun.append(stream)
            self._changed.notify_all()
        return stream

    def _add(self, job: BatchedJob) -> None:
        with self._changed:
            if self._closing:
                raise EngineUnavailable("the engine is shutting down")
            self._jobs.append(job)
            self._changed.notify_all()

    def close(self, drain: bool = True) -> None:
        """Accepts no new jobs, finishes or (without `drain`) cancels the others, and ends its
        threads. Live sessions end in any case.
        """
        with self._changed:
            self._closing = True
            jobs = list(self._jobs)
            self._changed.notify_all()
        for job in jobs:
            if isinstance(job, LiveJob):
                job.fail(EngineUnavailable("the engine is shutting down"))
            elif not drain:
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
            except Cancelled:
                pass  # the job is over already
            except Exception as error:  # it must not end the other jobs
                self._fail(stream.job, "a window could not be encoded", error)
            self._clock.set_jobs("codec", [])
            stream.encode_seconds = time.monotonic() - started
            with self._changed:
                self._encoding -= 1
                if stream.codes is None:
                    stream.job.rows -= 1
                else:
                    self._encoded.append(stream)
                self._changed.notify_all()

    def _encode_live(self) -> None:
        self._live.run(lambda: self._closing and not self._jobs, self._fail)

    def _fail(self, job: BatchedJob, problem: str, error: Exception) -> None:
        """Ends one job, with an error of torch or of its own audio."""
        log.exception(problem)
        translated = engine_error(problem, error)
        self.is_lost = self.is_lost or isinstance(translated, DeviceLost)
        job.fail(translated)

    def _encode_window(self, stream: WindowStream) -> torch.Tensor:
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

    def _next_window(self) -> WindowStream | None:
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
                    return WindowStream(job, index, window)
                if self._closing and not self._jobs:
                    return None
                self._changed.wait(POLL_INTERVAL_S)

    def _next_job(self) -> Job | None:
        """The job with the fewest rows; if several have as few, the one that was served longest
        ago.

        None if only reserved rows are left and the job has rows already.
        """
        waiting = [
            job for job in self._jobs if isinstance(job, Job) and job.windows and not job.is_over
        ]
        if not waiting:
            return None
        job = min(waiting, key=lambda job: job.rows)
        taken = sum(job.rows for job in self._jobs) + self._rows_for_silent_sessions()
        return job if not job.rows or taken < self.rows - self._reserved_rows else None

    def _rows_for_silent_sessions(self) -> int:
        """Free rows that are kept for live sessions in which nobody speaks; at most half of all."""
        silent = sum(isinstance(job, LiveJob) and not job.rows for job in self._jobs)
        return min(silent, self.rows // 2)

    # --- Decoding -------------------------------------------------------------------------------

    def _decode(self) -> None:
        previous: _Step | None = None
        while True:
            current = None
            try:
                streams = self._update_rows()
                if streams or not previous:  # a step takes time until its tokens have arrived
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
            # Wait unless something has arrived since the rows were updated.
            if not self._next_encoded() and not any(s.encoded for s in self._live.streams):
                self._changed.wait(POLL_INTERVAL_S)
            self._remove_finished_jobs()
            return True

    def _next_encoded(self) -> Stream | None:
        """The stream that gets the next free row, if there is one: live speech before windows."""
        free = self._streams.count(None)
        if self._begun and free:
            return self._begun[0]
        if self._encoded and free > self._rows_for_silent_sessions():
            return self._encoded[0]
        return None

    def _remove_finished_jobs(self) -> None:
        if any(job.is_over for job in self._jobs):
            self._jobs = [job for job in self._jobs if not job.is_over]
            self._changed.notify_all()

    def _update_rows(self) -> list[tuple[int, Stream]]:
        """Frees the rows of finished streams, gives free rows to those that wait, and new codes of
        live speech to the decoder. Returns the streams that can take a step, by row."""
        with self._changed:
            for job in self._jobs:
                job.check_deadline()
            for row, stream in enumerate(self._streams):
                if stream and not stream.needs_row:
                    self._leave(row, stream)
            while waiting := self._next_encoded():
                self._join(self._streams.index(None), waiting)
            for live in self._live.streams:
                self._feed(live)
            self._remove_finished_jobs()
            return [(r, s) for r, s in enumerate(self._streams) if s and s.can_step]

    def _join(self, row: int, stream: Stream) -> None:
        if isinstance(stream, LiveStream):
            self._begun.popleft()
            self._join_live(row, stream)
        elif isinstance(stream, WindowStream):
            self._encoded.popleft()
            self._join_window(row, stream)
        if self._streams[row]:
            timing = self.checkpoint.timing
            stream.builder = WordBuilder(self.checkpoint, timing, stream.start)

    def _join_window(self, row: int, stream: WindowStream) -> None:
        job = stream.job
        assert stream.codes is not None  # noqa: S101 - it was encoded
        if job.is_over:
            job.rows -= 1
            return
        if job.queue_seconds is None:
            job.queue_seconds = time.monotonic() - job.submitted - stream.encode_seconds
        self._decoder.join(row, stream.codes)
        stream.frames, stream.is_complete = len(stream.codes), True
        stream.codes = None
        self._streams[row] = stream

    def _join_live(self, row: int, stream: LiveStream) -> None:
        job = stream.job
        if job.is_over:
            return
        job.rows += 1
        waited = time.monotonic() - stream.began
        job.queue_seconds = (job.queue_seconds or 0.0) + waited
        self._decoder.join(row)
        self._streams[row], stream.row = stream, row
        self._live.streams.append(stream)
        self._changed.notify_all()

    def _feed(self, stream: LiveStream) -> None:
        """Gives the decoder the codes that have been encoded."""
        assert stream.row is not None  # noqa: S101 - it has joined
        for codes in stream.encoded:
            self._decoder.feed(stream.row, stream.frames, codes)
            stream.frames += len(codes)
        stream.encoded.clear()
        stream.is_complete = stream.is_encoded and stream.frames == stream.encoded_frames

    def _leave(self, row: int, stream: Stream) -> None:
        self._decoder.leave(row)
        self._streams[row] = None
        stream.job.rows -= 1
        if isinstance(stream, LiveStream):
            self._live.streams.remove(stream)
        self._changed.notify_all()

    def _start_step(self, streams: list[tuple[int, Stream]]) -> _Step:
        """Starts a step and the copy of its tokens, without waiting for the device."""
        self._decoder.activate_only(row for row, _ in streams)
        tokens = self._decoder.step()
        for _, stream in streams:
            stream.steps += 1
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

    def _deliver_token(self, stream: Stream, token: int) -> None:
        if stream.builder is None or stream.job.is_over:
            return
        try:
            stream.push(token)
        except Exception as error:  # it must not end the other jobs
            log.exception("the words of a window could not be built")
            stream.job.fail(EngineError(f"the words of a window could not be built: {error!r}"))

    def _fail_all(self, error: EngineError) -> None:
        """Fails all jobs and frees all rows."""
        with self._changed:
            for job in self._jobs:
                job.fail(error)
            for row, stream in enumerate(self._streams):
                if stream:
                    with suppress(Exception):  # the device may no longer respond
                        self._decoder.leave(row)
                    self._streams[row] = None
                    stream.job.rows -= 1
            self._live.streams.clear()
            self._begun.clear()
            self._remove_finished_jobs()
