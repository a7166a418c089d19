"""Memory of the web process: short pauses, although thousands of clients may be connected.

Python looks for unreachable objects by going through all of them, and nothing else runs meanwhile.
"""

from __future__ import annotations

import ctypes
import gc
from importlib import import_module

from django.conf import settings

# A young collection after so many new objects; each older generation after so many of the one
# before. By Python's default of 700 all objects are gone through again and again while clients
# connect: 0.3 s of CPU time each with 2,000 of them. What clients leave behind, about a hundred
# objects each, is found the later, the larger these numbers are.
THRESHOLDS = (2_000, 10, 10)
MIN_LEFT = 100  # clients who must have left before their memory is worth a collection

_malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc


def exclude_code_from_collection() -> None:
    """Call it before the first request: what is loaded then stays, and is never looked at again."""
    import_module(settings.ROOT_URLCONF)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)


class MemoryReturn:
    """Collects what clients have left behind when most of them are gone: an idle process would
    otherwise keep it."""

    def __init__(self) -> None:
        self._most = 0  # clients since the last collection

    def count(self, clients: int) -> None:
        """Call it now and then with the number of connected clients."""
        self._most = max(self._most, clients)
        if self._most - clients >= max(MIN_LEFT, clients):
            self._most = clients
            gc.collect()
            if _malloc_trim:
                _malloc_trim(0)
