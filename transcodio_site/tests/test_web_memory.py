"""Pauses and memory of the web process, counted in a process of its own."""

from __future__ import annotations

import subprocess
import sys

from transcodio_site.testing import ROOT

# Prints how many full collections there were while as many objects were created and kept as 2,000
# clients need, how many objects such a collection would go through that no client has created, and
# whether what clients have left behind is collected, although the process is idle then.
SCRIPT = """
import gc, weakref
from transcodio_site import asgi, web_memory

class Client:
    def __init__(self):
        self.itself, self.state = self, [[] for _ in range(250)]

def full_collections():
    return gc.get_stats()[2]["collections"]

web_memory.exclude_code_from_collection()
print(len(gc.get_objects()))
before = full_collections()
clients = [Client() for _ in range(2000)]
print(full_collections() - before)
memory, first = web_memory.MemoryReturn(), weakref.ref(clients[0])
memory.count(len(clients))
del clients[:900]
memory.count(len(clients))
print(first() is None)
del clients[:300]
memory.count(len(clients))
print(first() is None, full_collections() - before)
"""


def test_clients_cause_no_full_collection_until_most_have_left() -> None:
    command = [sys.executable, "-c", SCRIPT]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    visited, while_connecting, after_few_left, *after_most_left = output.split()
    assert int(visited) < 1000
    assert int(while_connecting) == 0
    assert after_few_left == "False"
    assert after_most_left == ["True", "1"]
