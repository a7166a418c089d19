"""Memory of the web process: short pauses, even with thousands of connected clients.

Python looks for unreachable objects by going through all of them, and nothing else runs meanwhile.
"""

from __future__ import annotations

import ctypes
import gc
from importlib import import_module

from django.conf import settings

# The number of new objects before a young collection, and for each older generation the number of
# collections of the one before. With Python's default of 700, all objects are visited again and
# again: 0.4 s of CPU time each with 2,000 event streams, while they connect and then about once a
# minute.
THRESHOLDS = (10_000, 10, 10)
# Objects of a client that was connected for this long (seconds) are old: only a collection of all
# objects finds them. This number of such clients is worth a collection.
LONG_S = 10.0
MIN_ENDED = 100

_malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc


def exclude_code_from_collection() -> None:
    """Call it before the first request: everything loaded by then stays, and is never visited
    again."""
    import_module(settings.ROOT_URLCONF)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)


class MemoryReturn:
    """Collects the garbage of disconnected clients, about a hundred objects each, when as many have
    left as are still connected. So memory at most doubles."""

    def __init__(self) -> None:
        self._ended = 0  # since the last collection

    def note_end(self, connected_s: float) -> None:
        """A client has left after being connected for `connected_s` seconds."""
        self._ended += connected_s >= LONG_S

    def check(self, clients: int) -> None:
        """Call this regularly with the number of connected clients."""
        if self._ended >= max(MIN_ENDED, clients):
            self._ended = 0
            gc.collect()
            if _malloc_trim:
                _malloc_trim(0)
