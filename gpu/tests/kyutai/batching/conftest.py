"""Batchers over the tiny model, and a gate that holds their decoder between two steps."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from gpu.kyutai.batching import Batcher
from gpu.kyutai.checkpoint import Checkpoint
from gpu.kyutai.jobs import Job
from gpu.kyutai.ring_decoder import RingDecoder
from gpu.tests import tiny
from gpu.types import Word
from gpu.windows import Window
from gpu.words import WordBuilder
from transcodio_site.testing import WAIT_S

LONGEST_S = 8.0  # of a window
MakeBatcher = Callable[..., Batcher]
MakeGate = Callable[[Batcher], "Gate"]


def window(seconds: float, seed: int, start: float = 0.0) -> Window:
    def noise() -> Any:
        samples = np.random.default_rng(seed).standard_normal(int(seconds * 24_000)) * 0.1
        return samples.astype(np.float32)

    return Window(start, noise)


def windows(count: int, seconds: float = 1.0, seed: int = 0) -> list[Window]:
    return [window(seconds, seed + n, start=10.0 * n) for n in range(count)]


def decode_alone(checkpoint: Checkpoint, wanted: Window) -> list[Word]:
    """The words of a window, decoded alone and without a batcher."""
    decoder = RingDecoder(checkpoint, 1, checkpoint.frames(LONGEST_S) + 1)
    builder = WordBuilder(checkpoint, checkpoint.timing, wanted.start)
    codes = checkpoint.encode(wanted.read())
    decoder.join(0, codes)
    words = [word for _ in codes for word in builder.push(int(decoder.step()[0]))]
    return [*words, *builder.finish()]


class Gate:
    """Holds a decoder before its next step, so that no test depends on how fast it is.

    `steps` counts the steps that have been let through. Thread-safe.
    """

    def __init__(self, batcher: Batcher) -> None:
        self.steps = 0
        self._changed = threading.Condition()
        self._is_closed = self._is_held = False
        self._closes: Callable[[], bool] = lambda: False
        self._step = batcher._decoder.step
        batcher._decoder.step = self._pass  # type: ignore[method-assign]

    def close(self) -> None:
        """Lets no further step through; returns when the decoder is waiting for one."""
        self.close_when(lambda: True)
        self.wait_until_held()

    def close_when(self, condition: Callable[[], bool]) -> None:
        """Closes before the first step at which `condition` is true."""
        with self._changed:
            self._closes = condition

    def wait_until_held(self) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self._is_held, WAIT_S)

    def open(self, until: Callable[[], bool] = lambda: False) -> None:
        """Lets the decoder continue; closes again before the first step at which `until` is
        true."""
        with self._changed:
            self._is_closed = self._is_held = False
            self._closes = until
            self._changed.notify_all()

    def _pass(self) -> torch.Tensor:
        with self._changed:
            self._is_closed = self._is_held = self._closes()
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: not self._is_closed, WAIT_S)
            self.steps += 1
        return self._step()


@pytest.fixture(scope="module", params=tiny.DEVICES)
def checkpoint(request: pytest.FixtureRequest) -> Iterator[Checkpoint]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # small matrices gain nothing from more
    yield tiny.checkpoint().to(request.param)
    torch.set_num_threads(before)


@pytest.fixture
def batcher(checkpoint: Checkpoint) -> Iterator[MakeBatcher]:
    """A function that creates batchers, which are closed after the test."""
    made: list[Batcher] = []

    def make(rows: int = 4) -> Batcher:
        made.append(Batcher(checkpoint, LONGEST_S, rows))
        return made[-1]

    yield make
    for one in made:
        one.close(drain=False)


@pytest.fixture
def gate(batcher: MakeBatcher) -> Iterator[MakeGate]:
    """A function that puts a gate before the decoder of a batcher; opened after the test."""
    made: list[Gate] = []

    def make(shared: Batcher) -> Gate:
        made.append(Gate(shared))
        return made[-1]

    yield make
    for one in made:
        one.open()


def begin(shared: Batcher, gate: Gate, wanted: list[Window]) -> Job:
    """A recording whose first words have arrived, with the decoder held right after them."""
    job = shared.submit(wanted)
    gate.close_when(lambda: bool(job._ready))
    gate.wait_until_held()
    return job
