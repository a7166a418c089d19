"""Encodes live speech for the rows of a batcher, in a thread of its own.

A window of a recording is encoded in one long pass, for which no live session can wait.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
import torch

from gpu.kyutai.checkpoint import Checkpoint, CodecStream
from gpu.kyutai.jobs import POLL_INTERVAL_S, BatchedJob
from gpu.kyutai.streams import LiveStream
from gpu.metering import DeviceClock

# Frames that are encoded in one pass. A pass takes about as long for several frames as for one, so
# if there are too many sessions for single frames, they get their words in larger steps.
MAX_FRAMES = 25


class LiveEncoder:
    """Serves the streams that have rows in turn. `changed` guards `streams` and their state."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        clock: DeviceClock,
        changed: threading.Condition,
        ring_frames: int,
    ) -> None:
        """`ring_frames` is the number of frames that a row holds."""
        self.streams: list[LiveStream] = []
        self._checkpoint, self._clock, self._changed = checkpoint, clock, changed
        self._ring_frames = ring_frames
        self._turns = 0
        self._side = torch.cuda.Stream() if checkpoint.device.type == "cuda" else None

    def run(
        self, is_over: Callable[[], bool], fail: Callable[[BatchedJob, str, Exception], None]
    ) -> None:
        """Encodes until `is_over()` is true; calls `fail` with what ends a session."""
        while (work := self._next(is_over)) is not None:
            stream, samples = work
            self._clock.set_jobs("live codec", [stream.job])
            try:
                codes = self._encode(stream, samples)
            except Exception as error:  # it must not end the other sessions
                fail(stream.job, "live speech could not be encoded", error)
            else:
                with self._changed:
                    stream.encoded.append(codes)
                    self._changed.notify_all()
            self._clock.set_jobs("live codec", [])

    def _next(
        self, is_over: Callable[[], bool]
    ) -> tuple[LiveStream, np.ndarray[tuple[int], np.dtype[np.float32]]] | None:
        """Waits for samples of the stream that was served longest ago; None if it is over."""
        with self._changed:
            while True:
                ready = [
                    (stream.served, frames, stream)
                    for stream in self.streams
                    if (frames := stream.frames_to_encode(self._ring_frames)) > 0
                    and not stream.job.is_over
                ]
                if ready:
                    _, frames, stream = min(ready, key=lambda entry: entry[0])
                    frames = min(frames, MAX_FRAMES)
                    self._turns += 1
                    stream.served = self._turns
                    stream.encoded_frames += frames
                    return stream, stream.next_samples(frames)
                if is_over():
                    return None
                self._changed.wait(POLL_INTERVAL_S)

    def _encode(
        self, stream: LiveStream, samples: np.ndarray[tuple[int], np.dtype[np.float32]]
    ) -> torch.Tensor:
        """Codes [frames, codebooks]. Uses its own CUDA stream: no step has to wait for it."""
        stream.codec = stream.codec or CodecStream(self._checkpoint)
        with nullcontext() if self._side is None else torch.cuda.stream(self._side):
            codes = stream.codec.encode(torch.from_numpy(samples).to(stream.codec.device))
        if self._side is not None:
            self._side.synchronize()
        return codes
