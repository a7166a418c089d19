"""A connection to the real database on which the answer to the next COMMIT is lost."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path

from django.db import connections

POSTGRES_PORT = 5432


@contextmanager
def lost_commit(folder: Path) -> Iterator[threading.Event]:
    """In the body, this thread's connection goes through a proxy. Yields an event: after it is set,
    the proxy waits for the answer to the next COMMIT, and then closes the connection."""
    original, armed = connections["default"], threading.Event()
    values = deepcopy(original.settings_dict)
    original.ensure_connection()
    upstream = original.connection.info.host, original.connection.info.port
    path = folder / f".s.PGSQL.{POSTGRES_PORT}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        threading.Thread(target=_serve, args=(server, upstream, armed), daemon=True).start()
        values |= {"HOST": str(folder), "PORT": POSTGRES_PORT}
        for name in ("pool", "host"):
            values["OPTIONS"].pop(name, None)
        connections["default"] = type(original)(values, "default")
        try:
            yield armed
        finally:
            connections["default"].close()
            connections["default"] = original


def _serve(server: socket.socket, upstream: tuple[str, int], armed: threading.Event) -> None:
    while True:
        try:
            client, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=_forward, args=(client, upstream, armed), daemon=True).start()


def _forward(client: socket.socket, upstream: tuple[str, int], armed: threading.Event) -> None:
    is_lost = threading.Event()
    with client, _connect(*upstream) as postgres:
        answers = threading.Thread(target=_copy, args=(postgres, client, is_lost), daemon=True)
        answers.start()
        while not is_lost.is_set() and (query := client.recv(1 << 16)):
            if armed.is_set() and b"COMMIT" in query:
                armed.clear()
                is_lost.set()
            postgres.sendall(query)
        postgres.shutdown(socket.SHUT_WR)
        answers.join()  # the client notices the loss when Postgres has committed


def _copy(postgres: socket.socket, client: socket.socket, is_lost: threading.Event) -> None:
    """Until Postgres has ended the connection."""
    while data := postgres.recv(1 << 16):
        if not is_lost.is_set():
            client.sendall(data)


def _connect(host: str, port: int) -> socket.socket:
    if not host.startswith("/"):
        return socket.create_connection((host, port))
    postgres = socket.socket(socket.AF_UNIX)
    postgres.connect(f"{host}/.s.PGSQL.{port}")
    return postgres
