"""Pauses and memory of the web process, counted in a process of its own."""

from __future__ import annotations

import subprocess
import sys

from transcodio_site.testing import ROOT

# Prints how many objects a full collection goes through that no client has created, how many such
# collections there were while as many objects were created as 2,000 clients need, and whether what
# clients have left behind is found when few of them have left, when many short requests have ended,
# and when most clients have left.
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

def leave(count, connected_s):
    for _ in range(count):
        memory.note_end(connected_s)
    memory.check(len(clients))
    return first() is None

del clients[:900]
print(leave(900, 60.0))
print(leave(5000, 0.1))
del clients[:300]
print(leave(300, 60.0))
"""


def test_full_collections_are_rare_and_come_when_most_clients_have_left() -> None:
    command = [sys.executable, "-c", SCRIPT]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    visited, while_connecting, *found = output.split()
    assert int(visited) < 1000
    assert int(while_connecting) == 0  # by default 8, each of them through all code, too
    assert found == ["False", "False", "True"]
