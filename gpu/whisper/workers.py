"""Threads that work on several recordings at the same time, fairly."""

from __future__ import annotations

import contextvars
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from typing import Generic, TypeVar

from gpu.metering import DeviceClock
from gpu.types import Cancelled

POLL_INTERVAL_S = 0.1  # between two checks whether the caller has stopped

T = TypeVar("T")


class Job(Generic[T]):
    """Tasks of one recording. Their results are returned in order."""

    def __init__(self, tasks: Iterable[Callable[[], T]]) -> None:
        self.tasks = deque(tasks)
        self.results: dict[int, T | BaseException] = {}  # by the number of the task
        self.count = len(self.tasks)
        self.started, self.running = 0, 0
        self.device_seconds = 0.0  # its share of the time in which workers were busy
        self.context = contextvars.copy_context()  # so that log lines have the ids of the recording


class Workers:
    """One thread for each core. A task runs on one of them until it ends.

    A free worker takes the next task of the recording that has the fewest workers; if several have
    as few, of the one that was served longest ago: a short recording starts at the next free
    worker, however many tasks of a long one are waiting.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._jobs: list[Job[object]] = []  # the one that was served longest ago is the first
        self._changed = threading.Condition()
        self._clock = DeviceClock()
        for number in range(count):
            name = f"whisper-{number}"
            threading.Thread(target=self._run, args=(name,), daemon=True, name=name).start()

    def run(self, job: Job[T], stopped: Callable[[], bool]) -> Generator[T]:
        """Run the tasks of `job`; yield their results in order, each as soon as it is available.

        Raises what a task raised, and Cancelled once `stopped()` returns true. Tasks that have not
        started by then never will.
        """
        with self._changed:
            self._jobs.append(job)  # type: ignore[arg-type]
            self._changed.notify_all()
        try:
            for number in range(job.count):
                result = self._wait_for(job, number, stopped)
                if isinstance(result, BaseException):
                    raise result
                yield result
        finally:
            with self._changed:
                job.tasks.clear()

    def _wait_for(self, job: Job[T], number: int, stopped: Callable[[], bool]) -> T | BaseException:
        while True:
            if stopped():
                raise Cancelled("stopped before the next batch")
            with self._changed:
                if number in job.results or self._changed.wait_for(
                    lambda: number in job.results, POLL_INTERVAL_S
                ):
                    return job.results.pop(number)

    def _run(self, name: str) -> None:
        while True:
            job, number, task = self._next_task()
            self._clock.set_jobs(name, [job])
            try:
                result = job.context.copy().run(task)
            except BaseException as error:  # for the caller of `run`
                result = error
            self._clock.set_jobs(name, [])
            with self._changed:
                job.running -= 1
                job.results[number] = result
                self._changed.notify_all()

    def _next_task(self) -> tuple[Job[object], int, Callable[[], object]]:
        with self._changed:
            while True:
                self._jobs = [job for job in self._jobs if job.tasks]
                if self._jobs:
                    job = min(self._jobs, key=lambda job: job.running)
                    self._jobs.remove(job)
                    self._jobs.append(job)
                    job.started += 1
                    job.running += 1
                    return job, job.started - 1, job.tasks.popleft()
                self._changed.wait()
