"""Many recordings on one decoder: in order, fair, and none of them takes the others down."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import psutil
import pytest
import torch

from gpu.batching import Batcher, Job
from gpu.kyutai import Checkpoint, RingDecoder
from gpu.tests import tiny
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
from transcodio_site.testing import wait_until

LONGEST = 8.0  # seconds of a window
Make = Callable[..., Batcher]


def window(seconds: float, seed: int, start: float = 0.0) -> Window:
    def noise() -> Any:
        samples = np.random.default_rng(seed).standard_normal(int(seconds * 24_000)) * 0.1
        return samples.astype(np.float32)

    return Window(start, noise)


def windows(count: int, seconds: float = 1.0, seed: int = 0) -> list[Window]:
    return [window(seconds, seed + n, start=10.0 * n) for n in range(count)]


@pytest.fixture(scope="module", params=tiny.DEVICES)
def checkpoint(request: pytest.FixtureRequest) -> Iterator[Checkpoint]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # small matrices gain nothing from more
    yield tiny.checkpoint().to(request.param)
    torch.set_num_threads(before)


@pytest.fixture
def batcher(checkpoint: Checkpoint) -> Iterator[Make]:
    """A function that makes batchers, which are closed after the test."""
    made: list[Batcher] = []

    def make(rows: int = 4) -> Batcher:
        made.append(Batcher(checkpoint, LONGEST, rows))
        return made[-1]

    yield make
    for one in made:
        one.close(drain=False)


def alone(checkpoint: Checkpoint, wanted: Window) -> list[Word]:
    """The words of a window, decoded by itself and without a batcher."""
    decoder = RingDecoder(checkpoint, 1, checkpoint.frames(LONGEST) + 1)
    builder = WordBuilder(checkpoint, checkpoint.timing, wanted.start)
    codes = checkpoint.encode(wanted.read())
    decoder.join(0, codes)
    words = [word for _ in codes for word in builder.push(int(decoder.step()[0]))]
    return [*words, *builder.finish()]


def test_words_are_those_of_each_window_alone_and_in_order(
    checkpoint: Checkpoint, batcher: Make
) -> None:
    wanted = [window(s, seed, start=20.0 * seed) for seed, s in enumerate((2, 0.5, 7, 1, 3, 0.2))]
    expected = [word for one in wanted for word in alone(checkpoint, one)]
    assert len(expected) > 10
    assert list(batcher(rows=3).submit(wanted).words()) == expected


def test_recordings_do_not_mix(checkpoint: Checkpoint, batcher: Make) -> None:
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
        assert results[index] == [word for one in plan for word in alone(checkpoint, one)]


def test_the_first_words_come_before_the_last_window_is_read(batcher: Make) -> None:
    read: list[int] = []

    def noted(number: int) -> Window:
        inner = window(1.0, number, start=10.0 * number)

        def samples() -> Any:
            read.append(number)
            return inner.read()

        return Window(inner.start, samples)

    words = batcher(rows=2).submit([noted(n) for n in range(30)]).words()
    next(words)
    assert max(read) < 29
    assert len(list(words)) > 30


def test_windows_are_read_as_rows_get_free(batcher: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = batcher(rows=2)
    step, three = shared._decoder.step, threading.Event()
    monkeypatch.setattr(shared._decoder, "step", lambda: three.wait(20) and step())
    jobs: list[Job] = []
    in_hand: list[int] = []  # at each reading

    def noted() -> Any:
        in_hand.append(len(in_hand) + 1 - sum(job.is_over for job in jobs))
        if len(in_hand) == 3:
            three.set()
        return np.zeros(2400, np.float32)

    with shared._work:  # so that all are waiting before the first window is read
        jobs += [shared.submit([Window(0.0, noted)]) for _ in range(40)]
    for job in jobs:
        list(job.words())
    # Two in rows, one for the row that gets free next, and two whose last words are on their way.
    assert 3 <= max(in_hand) <= 5


def test_a_row_is_kept_for_whoever_comes_next(
    batcher: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = batcher(rows=8)
    step, go_on = shared._decoder.step, threading.Event()
    monkeypatch.setattr(shared._decoder, "step", lambda: go_on.wait() and step())
    rows: list[int] = []

    def noted() -> Any:
        rows.append(job.rows)
        return np.zeros(2400, np.float32)

    with shared._work:
        job = shared.submit([Window(float(n), noted) for n in range(40)])
    try:
        wait_until(lambda: len(rows) >= 7 and not shared._encoding)  # and more it does not take
        assert max(rows) == 7
    finally:
        go_on.set()
    list(job.words())
    assert max(rows) <= 7


def test_nothing_to_say_is_an_end_too(batcher: Make) -> None:
    assert list(batcher().submit([]).words()) == []


def test_a_short_recording_passes_a_long_one(batcher: Make) -> None:
    shared = batcher(rows=4)
    long = shared.submit(windows(200, seconds=LONGEST))
    words = long.words()
    next(words)
    short = list(shared.submit(windows(1, seed=999)).words())
    assert short
    assert not long.is_over
    assert len(long.windows) > 150  # it had hardly begun
    long.cancel()


def test_short_recordings_have_their_turn_when_all_rows_are_wanted(batcher: Make) -> None:
    shared = batcher(rows=4)
    long = [shared.submit(windows(400, seconds=LONGEST, seed=1000 * n)) for n in range(5)]
    readers = [job.words() for job in long]
    for reader in readers[:4]:
        next(reader)
    for n in range(3):
        assert list(shared.submit(windows(1, seed=90 + n), deadline=20).words())
    assert not any(job.is_over for job in long)
    for job in long:
        job.cancel()


def test_rows_are_shared_between_long_recordings(batcher: Make) -> None:
    shared = batcher(rows=8)
    jobs = [shared.submit(windows(60, seconds=LONGEST, seed=100 * n)) for n in range(3)]
    readers = [job.words() for job in jobs]
    for reader in readers:
        next(reader)
    wait_until(lambda: all(job.rows >= 2 for job in jobs) or any(job.is_over for job in jobs))
    assert not any(job.is_over for job in jobs)
    for job in jobs:
        job.cancel()


def test_cancelling_stops_within_a_second(batcher: Make) -> None:
    shared = batcher(rows=4)
    job = shared.submit(windows(500, seconds=LONGEST))
    words = job.words()
    next(words)
    job.cancel()
    began = time.monotonic()
    wait_until(lambda: job.rows == 0, seconds=1.0)
    assert time.monotonic() - began < 1.0
    with pytest.raises(Cancelled):
        list(words)
    assert list(shared.submit(windows(1)).words())  # and the rows serve others


def test_a_reader_that_says_stop_is_heard(batcher: Make) -> None:
    job = batcher(rows=2).submit(windows(300, seconds=LONGEST))
    stop = threading.Event()
    words = job.words(stop.is_set)
    next(words)
    stop.set()
    with pytest.raises(Cancelled):
        list(words)
    wait_until(lambda: job.rows == 0, seconds=1.0)


def test_a_reader_that_goes_away_frees_its_rows(batcher: Make) -> None:
    job = batcher(rows=2).submit(windows(300, seconds=LONGEST))
    words = job.words()
    next(words)
    words.close()  # type: ignore[attr-defined]
    wait_until(lambda: job.rows == 0, seconds=1.0)


def test_a_deadline_ends_a_recording_and_only_that(batcher: Make) -> None:
    shared = batcher(rows=4)
    late = shared.submit(windows(500, seconds=LONGEST), deadline=0.3)
    fine = shared.submit(windows(2, seed=50))
    with pytest.raises(DeadlineExceeded):
        list(late.words())
    assert list(fine.words())
    wait_until(lambda: late.rows == 0, seconds=1.0)


def test_a_bad_window_ends_its_recording_and_only_that(
    checkpoint: Checkpoint, batcher: Make
) -> None:
    def broken() -> Any:
        raise OSError("the disk is gone")

    shared = batcher(rows=3)
    good = [shared.submit(windows(3, seed=10 * n)) for n in range(4)]
    bad = shared.submit([*windows(1), Window(10.0, broken), *windows(2)])
    with pytest.raises(EngineError, match="the disk is gone"):
        list(bad.words())
    for n, job in enumerate(good):
        expected = [w for one in windows(3, seed=10 * n) for w in alone(checkpoint, one)]
        assert list(job.words()) == expected


def test_a_window_that_is_too_long_ends_its_recording_and_only_that(batcher: Make) -> None:
    shared = batcher(rows=3)
    good = shared.submit(windows(6))
    with pytest.raises(EngineError, match=r"12\.0 s, and 8 s are the most"):
        list(shared.submit([window(12.0, seed=1)]).words())
    assert list(good.words())


def test_nobody_waits_for_a_codec_whose_window_is_not_wanted_any_more(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpu.kyutai.CHUNK", 1)
    encoding, encode = threading.Event(), checkpoint.encode
    looks: list[bool] = []

    def noted(samples: Any, stopped: Callable[[], bool]) -> torch.Tensor:
        def look() -> bool:
            looks.append(stopped())
            return looks[-1]

        encoding.set()
        wait_until(stopped)
        return encode(samples, look)

    monkeypatch.setattr(checkpoint, "encode", noted)
    shared = Batcher(checkpoint, LONGEST, 1)
    job = shared.submit(windows(1, seconds=LONGEST))
    encoding.wait()
    job.cancel()
    shared.close()
    assert looks == [True]
    assert job.rows == 0


def test_a_decoder_that_fails_is_said_to_all_and_does_not_hang(
    batcher: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = batcher(rows=2)
    jobs = [shared.submit(windows(50, seconds=LONGEST)) for _ in range(2)]
    readers = [job.words() for job in jobs]
    next(readers[0])

    def lost() -> torch.Tensor:
        raise RuntimeError("device lost")

    monkeypatch.setattr(shared._decoder, "step", lost)
    for reader in readers:
        with pytest.raises(EngineError, match="device lost"):
            list(reader)


def test_a_row_that_cannot_be_taken_is_said_and_the_next_recording_is_decoded(
    batcher: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = batcher(rows=2)
    with monkeypatch.context() as broken:
        broken.setattr(shared._decoder, "join", lambda row, codes: 1 / 0)
        with pytest.raises(EngineError, match="ZeroDivisionError"):
            list(shared.submit(windows(2), deadline=20).words())
    assert list(shared.submit(windows(2), deadline=20).words())


@pytest.mark.parametrize("where", ["step", "join"])
def test_memory_that_is_full_is_told_apart(
    batcher: Make, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    shared = batcher(rows=2)
    monkeypatch.setattr(shared._decoder, where, full)
    with pytest.raises(OutOfMemory, match="CUDA out of memory"):
        list(shared.submit(windows(1), deadline=20).words())
    assert not shared.is_lost


def test_a_lost_device_fails_what_comes_and_does_not_keep_us_from_closing(
    batcher: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: Any) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    shared = batcher(rows=2)
    reader = shared.submit(windows(50, seconds=LONGEST)).words()
    next(reader)
    for name in ("step", "join", "leave"):
        monkeypatch.setattr(shared._decoder, name, lost)
    for words in (reader, shared.submit(windows(3), deadline=20).words()):
        with pytest.raises(EngineError, match="illegal memory access"):
            list(words)
    assert shared.is_lost
    closing = threading.Thread(target=shared.close)
    closing.start()
    closing.join(20)
    assert not closing.is_alive()


def test_a_device_that_is_lost_while_nobody_decodes_is_noticed(
    batcher: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: Any) -> None:
        raise torch.AcceleratorError("CUDA error: uncorrectable ECC error encountered")

    shared = batcher(rows=2)
    monkeypatch.setattr(shared.checkpoint, "encode", lost)
    with pytest.raises(DeviceLost, match=r"could not be encoded.*ECC"):
        list(shared.submit(windows(1), deadline=20).words())
    assert shared.is_lost


def test_closing_finishes_what_was_begun(checkpoint: Checkpoint, batcher: Make) -> None:
    closing = batcher(rows=2)
    job = closing.submit(windows(6))
    closing.close()
    assert list(job.words()) == [w for one in windows(6) for w in alone(checkpoint, one)]
    assert not any(thread.is_alive() for thread in closing._threads)
    with pytest.raises(EngineUnavailable, match="shutting down"):
        closing.submit(windows(1))


def test_closing_at_once_cancels(batcher: Make) -> None:
    closing = batcher(rows=2)
    job = closing.submit(windows(500, seconds=LONGEST))
    closing.close(drain=False)
    with pytest.raises(Cancelled):
        list(job.words())
    assert not any(thread.is_alive() for thread in closing._threads)


def test_the_meter_adds_up_to_the_time_that_was_spent(batcher: Make) -> None:
    shared = batcher(rows=4)
    began = time.monotonic()
    jobs: list[Job] = [shared.submit(windows(4, seed=20 * n)) for n in range(3)]
    for job in jobs:
        list(job.words())
    spent = time.monotonic() - began
    assert all(job.device_seconds > 0 for job in jobs)
    charged = sum(job.device_seconds for job in jobs)
    assert (
        0.8 * spent < charged <= spent
    )  # the codec works beside the decoder: no second counts twice


class Hasty(Checkpoint):
    """Encodes every fifth window; the others get the codes of the last one that was."""

    calls = 0

    def encode(self, samples: Any, stopped: Any = None) -> torch.Tensor:
        self.calls += 1
        if self.calls % 5 == 1:
            self.last = super().encode(samples)
        return self.last.clone()


def test_memory_stays_flat_over_a_thousand_short_streams(checkpoint: Checkpoint) -> None:
    hasty = Hasty(checkpoint.model, tiny.processor(delay=0.16, prefix=0.0), "hasty")
    shared = Batcher(hasty, LONGEST, 16)
    process = psutil.Process()

    def two_hundred() -> int:
        jobs = [shared.submit(windows(1, seconds=0.1, seed=n)) for n in range(200)]
        for job in jobs:
            list(job.words())
        gc.collect()
        return int(process.memory_info().rss)

    first = two_hundred()
    sizes = [two_hundred() for _ in range(4)]
    assert max(sizes) - first < 20 << 20
    shared.close()
    assert shared._jobs == []
    assert not shared._encoded
