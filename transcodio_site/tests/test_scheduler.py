"""Celery beat with our scheduler."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings

from transcodio_site import embedded
from transcodio_site.celery import app
from transcodio_site.scheduler import MemoryScheduler
from transcodio_site.testing import ROOT, wait_until
from transcodio_site.tests.embedded_servers import var

__all__ = ["var"]


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


@contextmanager
def beat(var: Path) -> Iterator[None]:
    """Celery beat, killed at the end."""
    command = [sys.executable, "-m", "celery", "-A", "transcodio_site", "--quiet", "beat"]
    environment = os.environ | {"VAR_DIR": str(var)}
    process = subprocess.Popen([*command, "--pidfile="], cwd=ROOT, env=environment)
    try:
        yield
    finally:
        process.kill()
        process.wait()


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
