"""How rows are divided: a long recording neither starves a short one nor another long one."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from gpu.kyutai.jobs import Job
from gpu.tests.kyutai.batching.conftest import LONGEST_S, MakeBatcher, MakeGate, begin, windows
from gpu.windows import Window
from transcodio_site.testing import wait_until


def any_is_over(jobs: list[Job]) -> bool:
    return any(job.is_over for job in jobs)


def test_reserve_rows_are_kept_for_new_recordings(batcher: MakeBatcher, gate: MakeGate) -> None:
    shared = batcher(rows=8)
    held = gate(shared)
    held.close_when(lambda: True)
    rows: list[int] = []

    def noted() -> Any:
        rows.append(job.rows)
        return np.zeros(2400, np.float32)

    with shared._changed:
        job = shared.submit([Window(float(n), noted) for n in range(40)])
    wait_until(lambda: len(rows) >= 7 and not shared._encoding)
    assert max(rows) == 7
    held.open()
    list(job.words())
    assert max(rows) == 7


def test_short_recording_overtakes_long_one(batcher: MakeBatcher, gate: MakeGate) -> None:
    shared = batcher(rows=4)
    held = gate(shared)
    long = begin(shared, held, windows(200, seconds=LONGEST_S))
    short = shared.submit(windows(1, seed=999))
    held.open(until=lambda: short.is_over)
    assert list(short.words())
    held.wait_until_held()
    assert not long.is_over
    assert len(long.windows) > 150  # it had hardly begun
    long.cancel()


@pytest.mark.slow
def test_short_recordings_get_rows_while_long_ones_want_all(
    batcher: MakeBatcher, gate: MakeGate
) -> None:
    shared = batcher(rows=4)
    held = gate(shared)
    long = [shared.submit(windows(400, seconds=LONGEST_S, seed=1000 * n)) for n in range(5)]
    held.close_when(lambda: all(job._ready for job in long[:4]))
    held.wait_until_held()
    for n in range(3):
        short = shared.submit(windows(1, seed=90 + n))
        held.open(until=partial(any_is_over, [short, *long]))
        held.wait_until_held()
        assert not any_is_over(long)
        assert list(short.words())
    for job in long:
        job.cancel()


def test_long_recordings_share_the_rows(batcher: MakeBatcher, gate: MakeGate) -> None:
    shared = batcher(rows=8)
    gate(shared).close_when(lambda: True)  # a fast decoder would free rows before they are shared
    jobs = [shared.submit(windows(60, seconds=LONGEST_S, seed=100 * n)) for n in range(3)]
    wait_until(lambda: all(job.rows >= 2 for job in jobs))
    assert not any_is_over(jobs)
    for job in jobs:
        job.cancel()
