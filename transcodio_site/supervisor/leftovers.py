"""Processes of a supervisor that was killed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
from django.conf import settings

from transcodio_site.supervisor.errors import StackError

GRACE_S = 5.0  # before they are killed; SIGTERM was sent when their supervisor died
KILL_TIMEOUT_S = 10.0
# The process id of the supervisor and the data folder, in the environment of its processes.
VARIABLE = "TRANSCODIO_SUPERVISOR"


def mark() -> dict[str, str]:
    """The environment variable by which a later supervisor recognizes processes of this one."""
    return {VARIABLE: f"{os.getpid()}:{settings.VAR_DIR}"}


def stop_leftovers() -> None:
    """Stop processes that a killed supervisor of this data folder has left behind.

    They would keep the port, and work on the same recordings. Raises StackError.
    """
    leftovers = list(_leftovers(settings.VAR_DIR))
    for process in leftovers:
        with suppress(psutil.Error):
            process.terminate()
    _, alive = psutil.wait_procs(leftovers, timeout=GRACE_S)
    for process in alive:
        with suppress(psutil.Error):
            process.kill()
    _, alive = psutil.wait_procs(alive, timeout=KILL_TIMEOUT_S)
    if alive:
        raise StackError(
            f"The process {alive[0].pid} of an earlier start cannot be killed: is the disk "
            "available? Restart this machine if that does not help."
        )


def _leftovers(var: Path) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(psutil.Error, ValueError):
            pid, _, folder = process.environ().get(VARIABLE, "").partition(":")
            # Not the age of the process, which depends on a clock that may have been set.
            if folder == str(var) and int(pid) not in [p.pid for p in process.parents()]:
                yield process
