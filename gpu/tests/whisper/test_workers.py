"""Recordings share the workers fairly, and results come in order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu.types import Cancelled, Span
from gpu.whisper.recording import batches
from gpu.whisper.workers import Job, Workers
from transcodio_site.testing import wait_until


class Steps:
    """Tasks that a test allows to end one by one, and the order in which they started."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.may_end: dict[str, threading.Event] = {}

    def tasks(self, name: str, count: int) -> list[Callable[[], str]]:
        """Tasks called `a0`, `a1`, ..."""
        return [self._task(f"{name}{number}") for number in range(count)]

    def end(self, *names: str) -> None:
        for name in names:
            self.may_end[name].set()

    def _task(self, name: str) -> Callable[[], str]:
        self.may_end[name] = threading.Event()

        def run() -> str:
            self.started.append(name)
            self.may_end[name].wait()
            return name

        return run


@pytest.fixture
def steps() -> Iterator[Steps]:
    """Lets all tasks end after the test."""
    steps = Steps()
    yield steps
    steps.end(*steps.may_end)


def never() -> bool:
    return False


def collect(workers: Workers, job: Job[str]) -> tuple[threading.Thread, list[str]]:
    """Reads all results of a job in a thread."""
    results: list[str] = []
    thread = threading.Thread(target=lambda: results.extend(workers.run(job, never)))
    thread.start()
    return thread, results


def test_results_come_in_order_whichever_ends_first(steps: Steps) -> None:
    thread, results = collect(Workers(2), Job(steps.tasks("a", 3)))
    wait_until(lambda: len(steps.started) == 2)
    steps.end("a1", "a2")
    wait_until(lambda: len(steps.started) == 3)
    assert results == []
    steps.end("a0")
    thread.join()
    assert results == ["a0", "a1", "a2"]


def test_recording_alone_has_all_workers(steps: Steps) -> None:
    thread, _ = collect(Workers(3), Job(steps.tasks("a", 4)))
    wait_until(lambda: len(steps.started) == 3)
    steps.end("a0", "a1", "a2", "a3")
    thread.join()


def test_short_recording_starts_at_the_next_free_worker(steps: Steps) -> None:
    workers = Workers(2)
    long, _ = collect(workers, Job(steps.tasks("long", 9)))
    wait_until(lambda: len(steps.started) == 2)
    short, results = collect(workers, Job(steps.tasks("short", 1)))
    wait_until(lambda: len(workers._jobs) == 2)
    steps.end("long1")
    wait_until(lambda: steps.started[2:] == ["short0"])
    steps.end("short0")
    short.join()
    assert results == ["short0"]
    steps.end(*steps.may_end)
    long.join()


def test_two_long_recordings_have_one_worker_each(steps: Steps) -> None:
    workers = Workers(2)
    one, _ = collect(workers, Job(steps.tasks("a", 4)))
    wait_until(lambda: len(steps.started) == 2)
    two, _ = collect(workers, Job(steps.tasks("b", 4)))
    wait_until(lambda: len(workers._jobs) == 2)
    steps.end("a0", "b0")
    wait_until(lambda: steps.started[2:] == ["b0", "b1"])
    assert sorted(steps.started[:2]) == ["a0", "a1"]  # two threads note it
    steps.end("a1")
    wait_until(lambda: steps.started[4:] == ["a2"])
    steps.end(*steps.may_end)
    one.join()
    two.join()


@pytest.mark.covers("fault", "A recording is cancelled while Whisper decodes it")
def test_stopped_recording_starts_no_further_task(steps: Steps) -> None:
    workers, stop = Workers(1), threading.Event()
    results = workers.run(Job(steps.tasks("a", 3)), stop.is_set)
    steps.end("a0")
    assert next(results) == "a0"
    wait_until(lambda: steps.started == ["a0", "a1"])
    stop.set()
    with pytest.raises(Cancelled):
        next(results)
    steps.end("a1")
    other, _ = collect(workers, Job(steps.tasks("b", 1)))
    steps.end("b0")
    other.join()
    assert "a2" not in steps.started


def test_closed_stream_starts_no_further_task(steps: Steps) -> None:
    workers = Workers(1)
    results = workers.run(Job(steps.tasks("a", 3)), never)
    steps.end("a0")
    next(results)
    wait_until(lambda: steps.started == ["a0", "a1"])
    results.close()
    steps.end("a1")
    other, _ = collect(workers, Job(steps.tasks("b", 1)))
    steps.end("b0")
    other.join()
    assert "a2" not in steps.started


@pytest.mark.covers("fault", "Whisper fails at a part of one recording")
def test_error_of_a_task_ends_its_recording_only(steps: Steps) -> None:
    workers = Workers(1)

    def fail() -> str:
        raise ValueError("damaged")

    with pytest.raises(ValueError, match="damaged"):
        list(workers.run(Job([fail, *steps.tasks("a", 1)]), never))
    steps.end("a0")
    assert list(workers.run(Job([lambda: "b"]), never)) == ["b"]


def test_time_of_busy_workers_is_divided_among_recordings(steps: Steps) -> None:
    workers = Workers(1)
    jobs = [Job(steps.tasks(name, 1)) for name in "ab"]
    steps.end("a0", "b0")
    for job in jobs:
        list(workers.run(job, never))
    assert all(job.device_seconds > 0 for job in jobs)


def test_task_has_the_context_of_its_caller() -> None:
    recording = ContextVar("recording", default="none")
    recording.set("mine")
    assert list(Workers(1).run(Job([recording.get] * 2), never)) == ["mine"] * 2


# --- Batches --------------------------------------------------------------------------------------


@given(st.integers(0, 60), st.integers(1, 9), st.integers(1, 16))
def test_batches_contain_every_window_once_and_the_first_has_one(
    count: int, workers: int, size: int
) -> None:
    windows = [Span(n, n + 1) for n in range(count)]
    found = list(batches(windows, workers, size))
    assert [window for batch in found for window in batch] == windows
    assert all(1 <= len(batch) <= size for batch in found)
    assert all(len(batch) == 1 for batch in found[:workers])


def test_last_windows_are_divided_among_all_workers() -> None:
    windows = [Span(n, n + 1) for n in range(18)]
    sizes = [len(batch) for batch in batches(windows, 2, 4)]
    assert sizes == [1, 1, 2, 2, 4, 4, 2, 1, 1]
