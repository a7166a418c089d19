"""Memory of workers that recognize speech for hours.

glibc gives threads separate heaps, up to eight for each core, and large arrays leave holes in them:
after half an hour of live speech a worker held 1.0 GB, of which less than half was in use.
"""

from __future__ import annotations

import ctypes

MAX_HEAPS = 2
# Larger blocks are returned to the system when they are freed. By default this limit grows with the
# blocks that are freed, up to 32 MB.
MIN_SEPARATE_BYTES = 1 << 20
_M_ARENA_MAX, _M_MMAP_THRESHOLD = -8, -3  # of malloc.h

_mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # of glibc


def limit_heaps() -> None:
    """Call this before there are other threads. Without glibc it does nothing."""
    if _mallopt:
        _mallopt(_M_ARENA_MAX, MAX_HEAPS)
        _mallopt(_M_MMAP_THRESHOLD, MIN_SEPARATE_BYTES)
