"""Windows of many recordings on one decoder: the right words, in order, and read when needed."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from gpu.kyutai.checkpoint import Checkpoint
from gpu.kyutai.jobs import Job
from gpu.tests.kyutai.batching.conftest import (
    MakeBatcher,
    MakeGate,
    begin,
    decode_alone,
    window,
    windows,
)
from gpu.types import Word
from gpu.windows import Window
from transcodio_site.testing import WAIT_S


def test_words_equal_those_of_each_window_decoded_alone(
    checkpoint: Checkpoint, batcher: MakeBatcher
) -> None:
    wanted = [window(s, seed, start=20.0 * seed) for seed, s in enumerate((2, 0.5, 7, 1, 3, 0.2))]
    expected = [word for one in wanted for word in decode_alone(checkpoint, one)]
    assert len(expected) > 10
    assert list(batcher(rows=3).submit(wanted).words()) == expected


@pytest.mark.slow
def test_concurrent_recordings_do_not_mix(checkpoint: Checkpoint, batcher: MakeBatcher) -> None:
    shared = batcher(rows=5)
    plans = [windows(3, seconds=1 + n / 2, seed=10 * n) for n in range(6)]
    results: dict[int, list[Word]] = {}

    def read(index: int) -> None:
        results[index] = list(shared.submit(plans[index]).words())

    threads = [threading.Thread(target=read, args=(n,)) for n in range(len(plans))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index, plan in enumerate(plans):
        assert results[index] == [word for one in plan for word in decode_alone(checkpoint, one)]


@pytest.mark.slow
def test_first_words_come_before_last_window_is_read(batcher: MakeBatcher, gate: MakeGate) -> None:
    read: list[int] = []

    def noted(number: int) -> Window:
        inner = window(1.0, number, start=10.0 * number)

        def samples() -> Any:
            read.append(number)
            return inner.read()

        return Window(inner.start, samples)

    shared = batcher(rows=2)
    held = gate(shared)
    words = begin(shared, held, [noted(n) for n in range(30)]).words()
    next(words)
    assert max(read) < 29
    held.open()
    assert len(list(words)) > 30


def test_windows_are_read_only_as_rows_become_free(
    batcher: MakeBatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = batcher(rows=2)
    step, three = shared._decoder.step, threading.Event()
    monkeypatch.setattr(shared._decoder, "step", lambda: three.wait(WAIT_S) and step())
    jobs: list[Job] = []
    in_hand: list[int] = []  # at each reading

    def noted() -> Any:
        in_hand.append(len(in_hand) + 1 - sum(job.is_over for job in jobs))
        if len(in_hand) == 3:
            three.set()
        return np.zeros(2400, np.float32)

    with shared._changed:  # so that all are waiting before the first window is read
        jobs += [shared.submit([Window(0.0, noted)]) for _ in range(40)]
    for job in jobs:
        list(job.words())
    # Two in rows, one for the next free row, and two whose last words have not been delivered yet.
    assert 3 <= max(in_hand) <= 5


def test_recording_without_windows_has_no_words(batcher: MakeBatcher) -> None:
    assert list(batcher().submit([]).words()) == []
