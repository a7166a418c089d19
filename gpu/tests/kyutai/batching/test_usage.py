"""What a batcher uses: device time that adds up, and memory that does not grow."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest
import torch

from gpu.kyutai.batching import Batcher
from gpu.kyutai.checkpoint import Checkpoint
from gpu.tests import tiny
from gpu.tests.kyutai.batching.conftest import LONGEST_S, MakeBatcher, windows

Interval = tuple[float, float]  # on the monotonic clock


def timed(function: Callable[..., Any], intervals: list[Interval]) -> Callable[..., Any]:
    """The same function; records when it ran."""

    def run(*arguments: Any) -> Any:
        began = time.monotonic()
        try:
            return function(*arguments)
        finally:
            intervals.append((began, time.monotonic()))

    return run


def covered_seconds(intervals: list[Interval]) -> float:
    """How long at least one of them lasted."""
    total, until = 0.0, 0.0
    for start, end in sorted(intervals):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


def test_device_time_is_charged_whenever_the_device_works_and_only_once(
    batcher: MakeBatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = batcher(rows=4)
    work: list[Interval] = []
    monkeypatch.setattr(shared.checkpoint, "encode", timed(shared.checkpoint.encode, work))
    monkeypatch.setattr(shared._decoder, "step", timed(shared._decoder.step, work))
    began = time.monotonic()
    jobs = [shared.submit(windows(4, seed=20 * n)) for n in range(3)]
    for job in jobs:
        list(job.words())
    shared.close()
    elapsed = time.monotonic() - began
    assert all(job.device_seconds > 0 for job in jobs)
    charged = sum(job.device_seconds for job in jobs)
    # The codec works in parallel with the decoder: seconds of both count once.
    assert covered_seconds(work) - 1e-6 <= charged <= elapsed


class CachingCheckpoint(Checkpoint):
    """Encodes every fifth window; the others get the codes of the last encoded one."""

    calls = 0

    def encode(self, samples: Any, stopped: Any = None) -> torch.Tensor:
        self.calls += 1
        if self.calls % 5 == 1:
            self.last = super().encode(samples)
        return self.last.clone()


@pytest.mark.slow
def test_memory_stays_flat_over_a_thousand_short_recordings(checkpoint: Checkpoint) -> None:
    caching = CachingCheckpoint(checkpoint.model, tiny.processor(delay=0.16, prefix=0.0), "caching")
    shared = Batcher(caching, LONGEST_S, 16)
    process = psutil.Process()

    def decode_two_hundred() -> int:
        jobs = [shared.submit(windows(1, seconds=0.1, seed=n)) for n in range(200)]
        for job in jobs:
            list(job.words())
        gc.collect()
        return int(process.memory_info().rss)

    first = decode_two_hundred()
    sizes = [decode_two_hundred() for _ in range(4)]
    assert max(sizes) - first < 20 << 20
    shared.close()
    assert shared._jobs == []
    assert not shared._encoded
