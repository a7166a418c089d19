"""Our Celery application with a task that a test can hold open: for workers that a test starts."""

from __future__ import annotations

import fcntl
from pathlib import Path

from transcodio_site.celery import app

__all__ = ["app"]


@app.task(name="tests.hold")
def hold(lock: str, started: str) -> None:
    """Create the file `started`, and wait while the test has locked the file `lock`."""
    Path(started).touch()
    with Path(lock).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
