"""Runs a program on an untrusted file: with limits, and without network, privileges and
environment.

See `sandbox_launcher` for what the kernel may refuse; the program then runs without that part.
"""

from __future__ import annotations

import math
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO

LAUNCHER = Path(__file__).with_name("sandbox_launcher.py")
MEMORY_LIMIT_BYTES = 2 << 30  # of address space; decoding audio needs a tenth of it
MAX_OPEN_FILES = 64
CHECK_INTERVAL_S = 0.2


def run(
    command: list[str],
    *,
    stdin: BinaryIO,
    stdout: BinaryIO,
    stderr: BinaryIO,
    timeout_s: float,
    file_size: int,
    check: Callable[[], None],
    unprivileged: bool,
) -> int:
    """Run `command`, and return its exit status; negative: the signal that ended it.

    It may write files of up to `file_size` bytes. As root it runs as another user if it is
    `unprivileged`: then it can open hardly any file, but use the three that it is given. `check` is
    called several times per second. Raises what that raises, and TimeoutExpired; then the program
    is killed. It is also killed when this process ends.
    """
    limits = {
        "RLIMIT_FSIZE": file_size,
        "RLIMIT_NOFILE": MAX_OPEN_FILES,
        "RLIMIT_CORE": 0,
        # Several threads work at a time, so that this is the deadline only where nobody waits.
        "RLIMIT_CPU": math.ceil(timeout_s) * 4,
    }
    if sys.platform == "linux":  # macOS refuses it
        limits["RLIMIT_AS"] = MEMORY_LIMIT_BYTES
    options = [
        str(os.getpid()),
        "unprivileged" if unprivileged else "same",
        ",".join(f"{name}={value}" for name, value in limits.items()),
    ]
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", str(LAUNCHER), *options, *command],
        env={},
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )
    try:
        status = _wait(process, timeout_s, check)
    finally:
        process.kill()
        process.wait()
    if status == -signal.SIGXCPU:
        raise subprocess.TimeoutExpired(command, timeout_s)
    return status


def _wait(process: subprocess.Popen[bytes], timeout_s: float, check: Callable[[], None]) -> int:
    deadline = time.monotonic() + timeout_s
    with _wait_function(process) as wait:
        while True:
            check()
            remaining = max(0.0, deadline - time.monotonic())
            wait(min(CHECK_INTERVAL_S, remaining))
            if (status := process.poll()) is not None:
                return status
            if remaining <= CHECK_INTERVAL_S:
                raise subprocess.TimeoutExpired(process.args, timeout_s)


@contextmanager
def _wait_function(process: subprocess.Popen[bytes]) -> Iterator[Callable[[float], object]]:
    """A function that waits for the end of the process, but no longer than a number of seconds.

    `Popen.wait` with a timeout looks at the process every 50 ms, which is as long as FFmpeg needs
    to check an upload. Linux can tell of its end.
    """
    if sys.platform != "linux":
        yield partial(_wait_by_polling, process)
        return
    descriptor = os.pidfd_open(process.pid)
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        yield lambda seconds: poll.poll(math.ceil(1000 * seconds))
    finally:
        os.close(descriptor)


def _wait_by_polling(process: subprocess.Popen[bytes], seconds: float) -> None:
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
