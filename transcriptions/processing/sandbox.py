"""Runs a program on an untrusted file: with limits, and without network, privileges and
environment.

See `sandbox_launcher` for what the kernel may refuse; the program then runs without that part.
"""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
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
    while True:
        check()
        remaining = max(0.0, deadline - time.monotonic())
        try:
            return process.wait(min(CHECK_INTERVAL_S, remaining))
        except subprocess.TimeoutExpired:
            if remaining <= CHECK_INTERVAL_S:
                raise
