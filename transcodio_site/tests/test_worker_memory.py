"""Memory of workers, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from transcodio_site import worker_memory
from transcodio_site.testing import ROOT

# Starts threads that allocate memory, and prints how many heaps there are besides that of the main
# thread.
SCRIPT = """
import ctypes, re, sys, threading
from celery.signals import worker_init
from transcodio_site import worker

worker_init.send(None)
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
ready = threading.Barrier(9)

def work():
    libc.malloc(ctypes.c_size_t(300_000))
    ready.wait()
    ready.wait()

for _ in range(8):
    threading.Thread(target=work, daemon=True).start()
ready.wait()
libc.malloc_stats()
ready.wait()
"""


@pytest.mark.skipif(not worker_memory._mallopt, reason="the C library is not glibc")
def test_threads_of_a_worker_share_few_heaps() -> None:
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr.count("Arena ") == worker_memory.MAX_HEAPS
