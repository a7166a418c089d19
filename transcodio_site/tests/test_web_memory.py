"""Pauses and memory of the web process, counted in a process of its own."""

from __future__ import annotations

import subprocess
import sys

from transcodio_site.testing import ROOT

# Prints how many full collections there were while as many objects were created and kept as 2,000
# clients need, how many objects such a collection would go through that no client has created, and
# whether what clients have left behind is collected, although the process is idle then, or as
# many come as leave.
SCRIPT = """
import collections, gc, weakref
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
print(first() is None)
connected = collections.deque(Client() for _ in range(2000))
first = weakref.ref(connected[0])
for _ in range(2000):
    connected.popleft()
    connected.append(Client())
print(first() is None)
"""


def test_full_collections_are_rare_and_come_when_most_clients_have_left() -> None:
    command = [sys.executable, "-c", SCRIPT]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    visited, while_connecting, after_few_left, after_most_left, with_turnover = output.split()
    assert int(visited) < 1000
    assert int(while_connecting) <= 3  # by default 8, each of them through all code, too
    assert (after_few_left, after_most_left, with_turnover) == ("False", "True", "True")
