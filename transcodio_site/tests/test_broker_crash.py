"""A worker whose Valkey crashes while messages wait for a free thread."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery
from django.conf import settings
from django.db import connection

from transcodio_site import embedded
from transcodio_site.embedded.valkey import Valkey
from transcodio_site.testing import ROOT, WAIT_S, wait_until
from transcodio_site.testing_stack import Hold
from transcodio_site.tests.embedded_servers import var
from transcodio_site.tests.held_tasks import hold

__all__ = ["var"]

THREADS = 2
COMMAND = [sys.executable, "-m", "celery", "-A", "transcodio_site.tests.held_tasks", "--quiet"]
STANDALONE = ("--without-gossip", "--without-mingle", "--without-heartbeat")


class Worker:
    """A worker of the product, with a Valkey of its own, whose threads are held open."""

    def __init__(self, var: Path, process: subprocess.Popen[bytes]) -> None:
        self.var, self.process, self.hold = var, process, Hold(var)
        # Not current: tests after this one enqueue with the application of the service.
        broker = f"redis+socket://{Valkey(var).socket}"
        self._client = Celery(broker=broker, set_as_current=False)

    @property
    def log(self) -> str:
        """Its output."""
        return (self.var / "worker.log").read_text()

    def send(self, name: str) -> None:
        """Send the worker a task that waits for the lock."""
        self._client.send_task(hold.name, (str(self.hold.file), str(self.var / name)))

    def has_started(self, name: str) -> bool:
        """Whether this task has begun."""
        return (self.var / name).exists()

    def has_exited(self) -> bool:
        """Whether the process has ended."""
        return self.process.poll() is not None

    def ping(self) -> None:
        """Wait for its response to a remote command."""
        assert self._client.control.ping(timeout=WAIT_S, limit=1)


@pytest.fixture
def worker(var: Path, db: None) -> Iterator[Worker]:
    with embedded.servers(var, postgres=False), (var / "worker.log").open("wb") as log:
        database = connection.settings_dict["NAME"]
        process = subprocess.Popen(
            [*COMMAND, "worker", "--loglevel", "WARNING", *STANDALONE],
            cwd=ROOT,
            env=os.environ
            | {
                "VAR_DIR": str(var),
                "DATABASE_URL": settings.DATABASE_URL.replace("/transcodio?", f"/{database}?"),
                "WORKER_CONCURRENCY": str(THREADS),
            },
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        yield Worker(var, process)
        process.kill()
        process.wait()


@pytest.mark.slow
@pytest.mark.covers("fault", "Valkey crashes while recordings wait for a free thread")
def test_worker_with_a_backlog_survives_a_crash_of_valkey(worker: Worker) -> None:
    """When the connection is lost, Kombu returns the messages that a worker has reserved. While
    Valkey is away, this fails, and if the worker was waiting for yet another message, it exits with
    an AttributeError. Without WORKER_DISABLE_PREFETCH, it reserves up to one message per thread:
    "waiting" here, and there is room for another one."""
    valkey = Valkey(worker.var)
    with worker.hold():
        first = [f"first-{number}" for number in range(THREADS)]
        for name in first:
            worker.send(name)
        wait_until(lambda: all(map(worker.has_started, first)))
        worker.send("waiting")
        for _ in range(3):  # what it would reserve, it has reserved by then
            worker.ping()
        valkey.kill()
        wait_until(lambda: "Connection to broker lost" in worker.log)
        valkey.start()
        worker.send("next")
    wait_until(lambda: worker.has_started("next") or worker.has_exited())
    assert not worker.has_exited(), worker.log
    assert "Traceback" not in worker.log
