"""Recordings that end early, by cancellation, a deadline or a shutdown: their rows serve others."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from gpu.kyutai.batching import Batcher
from gpu.kyutai.checkpoint import Checkpoint
from gpu.kyutai.jobs import Job
from gpu.tests.kyutai.batching.conftest import (
    LONGEST_S,
    Gate,
    MakeBatcher,
    MakeGate,
    begin,
    decode_alone,
    windows,
)
from gpu.types import Cancelled, DeadlineExceeded, EngineUnavailable
from transcodio_site.testing import WAIT_S, wait_until


def assert_freed_without_another_step(held: Gate, job: Job) -> None:
    """Only the held step is still taken, and most windows are never read."""
    steps = held.steps
    held.open()
    wait_until(lambda: job.rows == 0)
    assert held.steps == steps + 1
    assert len(job.windows) > 200


def test_cancel_frees_rows_before_the_next_step(batcher: MakeBatcher, gate: MakeGate) -> None:
    shared = batcher(rows=4)
    held = gate(shared)
    job = begin(shared, held, windows(300, seconds=LONGEST_S))
    words = job.words()
    next(words)
    job.cancel()
    assert_freed_without_another_step(held, job)
    with pytest.raises(Cancelled):
        list(words)
    assert list(shared.submit(windows(1)).words())  # and the rows serve others


def test_reader_that_asks_to_stop_cancels_the_recording(
    batcher: MakeBatcher, gate: MakeGate
) -> None:
    shared = batcher(rows=2)
    held = gate(shared)
    job = begin(shared, held, windows(300, seconds=LONGEST_S))
    stop = threading.Event()
    words = job.words(stop.is_set)
    next(words)
    stop.set()
    with pytest.raises(Cancelled):
        list(words)
    assert_freed_without_another_step(held, job)


def test_closed_reader_cancels_the_recording(batcher: MakeBatcher, gate: MakeGate) -> None:
    shared = batcher(rows=2)
    held = gate(shared)
    job = begin(shared, held, windows(300, seconds=LONGEST_S))
    words = job.words()
    next(words)
    words.close()  # type: ignore[attr-defined]
    assert_freed_without_another_step(held, job)


def test_deadline_ends_only_its_recording(batcher: MakeBatcher, gate: MakeGate) -> None:
    shared = batcher(rows=4)
    held = gate(shared)
    held.close_when(lambda: True)
    late = shared.submit(windows(300, seconds=LONGEST_S), deadline=0.3)
    fine = shared.submit(windows(2, seed=50))
    with pytest.raises(DeadlineExceeded):
        list(late.words())
    held.open()
    assert list(fine.words())
    wait_until(lambda: late.rows == 0)
    assert len(late.windows) > 200


def test_cancelled_recording_ends_its_encoding_between_two_chunks(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpu.kyutai.checkpoint.CHUNK_FRAMES", 1)
    encoding, encode = threading.Event(), checkpoint.encode
    answers: list[bool] = []

    def noted(samples: Any, stopped: Callable[[], bool]) -> Any:
        def note() -> bool:
            answers.append(stopped())
            return answers[-1]

        encoding.set()
        wait_until(stopped)
        return encode(samples, note)

    monkeypatch.setattr(checkpoint, "encode", noted)
    shared = Batcher(checkpoint, LONGEST_S, 1)
    job = shared.submit(windows(1, seconds=LONGEST_S))
    assert encoding.wait(WAIT_S)
    job.cancel()
    shared.close()
    assert answers == [True]
    assert job.rows == 0


def test_close_finishes_what_was_submitted(checkpoint: Checkpoint, batcher: MakeBatcher) -> None:
    closing = batcher(rows=2)
    job = closing.submit(windows(6))
    closing.close()
    assert list(job.words()) == [w for one in windows(6) for w in decode_alone(checkpoint, one)]
    assert not any(thread.is_alive() for thread in closing._threads)
    with pytest.raises(EngineUnavailable, match="shutting down"):
        closing.submit(windows(1))


def test_close_without_drain_cancels_what_was_submitted(
    batcher: MakeBatcher, gate: MakeGate
) -> None:
    shared = batcher(rows=2)
    held = gate(shared)
    job = begin(shared, held, windows(300, seconds=LONGEST_S))
    closing = threading.Thread(target=shared.close, kwargs={"drain": False})
    closing.start()
    wait_until(lambda: job.is_over)
    assert_freed_without_another_step(held, job)
    closing.join(WAIT_S)
    with pytest.raises(Cancelled):
        list(job.words())
    assert not any(thread.is_alive() for thread in shared._threads)
