"""Pauses and memory of the web process, counted in a process of its own."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from transcodio_site.testing import ROOT

# Prints three things: how many objects that no client has created a full collection visits; how
# many full collections there were while the objects of 2,000 clients were created; and whether what
# clients leave behind is found when all have disconnected and their applications still run, when
# few of those have ended, when many short requests have ended, and when all have ended.
SCRIPT = """
import asyncio, gc, time, weakref
from transcodio_site import asgi, web_memory
from transcodio_site.server import UploadServer

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

def disconnected_after(seconds):
    return {"connected": time.time() - seconds, "disconnected": time.time()}

server, first = UploadServer(asgi.application, ["tcp:0"]), weakref.ref(clients[0])
loop = asyncio.new_event_loop()
running = [loop.create_future() for _ in clients]
server.connections = {
    client: disconnected_after(60) | {"application_instance": application}
    for client, application in zip(clients, running)
}
clients.clear()

def is_found_after(ended, short=0):
    for _ in range(ended):
        running.pop().set_result(None)  # that of the first client at last
    server.connections |= {object(): disconnected_after(0.1) for _ in range(short)}
    server.application_checker()
    return first() is None

print(is_found_after(0), is_found_after(900), is_found_after(0, short=5000), is_found_after(1100))
"""


@pytest.mark.slow
def test_full_collections_are_rare_and_come_when_most_clients_have_left() -> None:
    command = [sys.executable, "-c", SCRIPT]
    output = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    visited, while_connecting, *found = output.split()
    assert int(visited) < 1000
    assert int(while_connecting) == 0  # by default 8, each of them through all code, too
    assert found == ["False", "False", "False", "True"]


def test_garbage_is_looked_for_once_the_apps_are_loaded_and_not_among_their_code() -> None:
    assert gc.isenabled()
    assert gc.get_freeze_count() > 100_000
