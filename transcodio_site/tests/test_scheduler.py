"""Celery beat with our scheduler."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings

from transcodio_site import embedded
from transcodio_site.celery import app
from transcodio_site.scheduler import LOCK_NAME, RENEWAL_S, MemoryScheduler
from transcodio_site.testing import ROOT, wait_until
from transcodio_site.tests.embedded_servers import var

__all__ = ["var"]


@pytest.mark.slow
@pytest.mark.covers("fault", "The schedule that beat has stored is damaged")
@pytest.mark.covers("fault", "Beat is killed and started again")
def test_beat_starts_in_any_folder_and_enqueues_all_tasks(var: Path) -> None:
    var.mkdir()
    for suffix in ("", ".dat", ".dir", ".bak", ".db"):
        (var / f"beat-schedule{suffix}").write_bytes(b"cut")
    with embedded.servers(var, postgres=False):
        queue = redis.Redis.from_url(embedded.redis_url(var))
        for _ in range(2):
            with beat(var):
                wait_until(lambda: queue.llen("celery") >= len(settings.CELERY_BEAT_SCHEDULE))
            queue.flushall()
    names = {path.name for path in var.iterdir() if not path.name.startswith("beat-schedule")}
    assert names <= {"run", "log", "tmp", "static", "secret_key", "secret_key.lock"}


@dataclass
class Beat:
    """A process and its log."""

    process: subprocess.Popen[bytes]
    log: Path

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def beat(var: Path) -> Iterator[Beat]:
    """Celery beat, killed at the end."""
    command = [sys.executable, "-m", "celery", "-A", "transcodio_site", "--quiet", "beat"]
    environment = os.environ | {"VAR_DIR": str(var)}
    with tempfile.NamedTemporaryFile(suffix=".log") as log:
        process = subprocess.Popen(
            [*command, "--loglevel", "INFO", "--pidfile="],
            cwd=ROOT,
            env=environment,
            stderr=log.fileno(),
        )
        running = Beat(process, Path(log.name))
        try:
            yield running
        finally:
            running.kill()


@pytest.fixture
def scheduler() -> MemoryScheduler:
    return MemoryScheduler(app, lazy=False)


def test_all_tasks_are_due_at_the_start(scheduler: MemoryScheduler) -> None:
    assert scheduler.schedule.keys() == settings.CELERY_BEAT_SCHEDULE.keys()
    assert all(scheduler.is_due(entry).is_due for entry in scheduler.schedule.values())


@pytest.mark.covers("fault", "The clock is set back by an hour while beat runs")
def test_clock_that_is_set_back_delays_no_task(scheduler: MemoryScheduler) -> None:
    entry: Any = scheduler.schedule["requeue_stalled"]
    entry.last_run_at = entry.default_now() + timedelta(hours=1)
    assert scheduler.is_due(entry).is_due
    entry.last_run_at = entry.default_now()
    assert not scheduler.is_due(entry).is_due


@pytest.fixture
def lock(settings: Any) -> Iterator[redis.Redis]:
    """The Valkey of the tests, without a lock of earlier ones."""
    with redis.Redis.from_url(settings.REDIS_URL) as valkey:
        valkey.delete(LOCK_NAME)
        yield valkey
        valkey.delete(LOCK_NAME)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[MemoryScheduler]:
    """The schedulers that have sent a task, in order."""
    senders: list[MemoryScheduler] = []

    def apply_async(self: MemoryScheduler, *_: Any, **__: Any) -> None:
        senders.append(self)

    monkeypatch.setattr(MemoryScheduler, "apply_async", apply_async)
    return senders


def test_of_two_schedulers_one_sends_tasks(lock: redis.Redis, sent: list[MemoryScheduler]) -> None:
    first, second = (MemoryScheduler(app, lazy=False) for _ in range(2))
    for scheduler in (first, second, first, second):
        assert 0 <= scheduler.tick() <= RENEWAL_S
    assert sent == [first, first]
    first.close()  # as when it is terminated
    second.tick()
    assert sent[2:] == [second]


@pytest.mark.covers("fault", "Beat freezes, another one takes over, and the first continues")
def test_scheduler_that_was_replaced_stands_by(
    lock: redis.Redis, sent: list[MemoryScheduler]
) -> None:
    first, second = (MemoryScheduler(app, lazy=False) for _ in range(2))
    first.tick()
    lock.delete(LOCK_NAME)  # it has expired
    second.tick()
    first.tick()
    first.close()
    assert sent == [first, second]
    second.tick()
    assert sent == [first, second, second]


@pytest.mark.covers("fault", "Valkey is down, but the broker is not")
def test_scheduler_without_valkey_sends_tasks(
    settings: Any, tmp_path: Path, sent: list[MemoryScheduler]
) -> None:
    settings.REDIS_URL = f"unix://{tmp_path}/nobody.sock"
    scheduler = MemoryScheduler(app, lazy=False)
    scheduler.tick()
    assert sent == [scheduler]


@pytest.mark.slow
@pytest.mark.covers("fault", "One of two beats is killed")
def test_second_beat_takes_over_when_the_first_is_killed(var: Path) -> None:
    var.mkdir()
    daily = "transcriptions.tasks.delete_expired_sessions"
    with embedded.servers(var, postgres=False):
        queue = redis.Redis.from_url(embedded.redis_url(var))

        def rounds() -> int:
            return sum(daily.encode() in message for message in queue.lrange("celery", 0, -1))

        with beat(var) as first:
            wait_until(lambda: rounds() == 1)
            with beat(var) as second:
                wait_until(lambda: "stands by" in second.log.read_text())
                assert rounds() == 1
                first.kill()
                wait_until(lambda: rounds() == 2)
