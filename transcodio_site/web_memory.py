"""Memory of the web process: short pauses, although thousands of clients may be connected.

Python looks for unreachable objects by going through all of them, and nothing else runs meanwhile.
"""

from __future__ import annotations

import ctypes
import gc
from importlib import import_module

from django.conf import settings

# A young collection after so many new objects; each older generation after so many of the one
# before. By Python's default of 700 all objects are gone through again and again: 0.4 s of CPU time
# each with 2,000 event streams, while they connect and then about once a minute.
THRESHOLDS = (10_000, 10, 10)
# What a client leaves behind that was connected for so long is old: only a collection of all
# objects finds it. That of so many clients is worth one.
LONG_S = 10.0
MIN_ENDED = 100

_malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc


def exclude_code_from_collection() -> None:
    """Call it before the first request: what is loaded then stays, and is never looked at again."""
    import_module(settings.ROOT_URLCONF)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)


class MemoryReturn:
    """Collects what clients leave behind, about a hundred objects each, when as many have left as
    are still connected: what is kept then has at most doubled."""

    def __init__(self) -> None:
        self._ended = 0  # since the last collection

    def note_end(self, connected_s: float) -> None:
        """A client has left that was connected for so long."""
        self._ended += connected_s >= LONG_S

    def check(self, clients: int) -> None:
        """Call it now and then with the number of connected clients."""
        if self._ended >= max(MIN_ENDED, clients):
            self._ended = 0
            gc.collect()
            if _malloc_trim:
                _malloc_trim(0)
