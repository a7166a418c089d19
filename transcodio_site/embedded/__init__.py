"""PostgreSQL and Valkey from Python wheels, so that `make run` needs nothing but Python.

Every command that needs the servers holds a shared lock while it runs. The first command starts
them, and the last one to exit stops them. The next command adopts servers that a killed command
left running. Both listen on Unix sockets in a private folder, never on a port. The owner and
permissions of existing folders outside the data folder do not change.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from transcodio_site.embedded.cluster import data_folder
from transcodio_site.embedded.folders import (
    EmbeddedError,
    check_free_space,
    postgres_socket_folder,
    prepare,
    remove_socket_folder,
    socket_folder,
)
from transcodio_site.embedded.postgres import DATABASE_NAME, Postgres
from transcodio_site.embedded.server import Server
from transcodio_site.embedded.valkey import Valkey

__all__ = [
    "EmbeddedError",
    "check_free_space",
    "data_folder",
    "postgres_url",
    "redis_url",
    "restart_dead_servers",
    "servers",
    "socket_folder",
]


def postgres_url(var: Path) -> str:
    """The URL of the database that belongs to the data folder `var`."""
    return f"postgresql://{DATABASE_NAME}@/{DATABASE_NAME}?host={postgres_socket_folder(var)}&port=5432"


def redis_url(var: Path) -> str:
    """The URL of the Valkey that belongs to the data folder `var`."""
    return f"unix://{socket_folder(var) / 'valkey.sock'}?db=0"


@contextmanager
def servers(var: Path, *, postgres: bool = True, valkey: bool = True) -> Iterator[None]:
    """Keep the servers running while the body runs. Raises EmbeddedError."""
    requested = _requested(var, postgres, valkey)
    if not requested:
        yield
        return
    run = prepare(var)
    with (run / "users.lock").open("w") as users:
        try:
            _acquire(run, users, requested)
            yield
        finally:
            _release(run, users, requested)


def restart_dead_servers(var: Path, *, postgres: bool = True, valkey: bool = True) -> list[str]:
    """Restart servers that died within `servers()`; return their names. Raises EmbeddedError."""
    dead = [server for server in _requested(var, postgres, valkey) if not server.running()]
    if dead:
        with _start_lock(var / "run"):
            for server in dead:
                server.start()
    return [server.name for server in dead]


def _requested(var: Path, postgres: bool, valkey: bool) -> list[Server]:
    return [*([Postgres(var)] if postgres else []), *([Valkey(var)] if valkey else [])]


def _acquire(run: Path, users: IO[str], requested: list[Server]) -> None:
    """Take the shared lock and start the servers unless they run. Raises EmbeddedError."""
    try:
        with _start_lock(run):
            fcntl.flock(users, fcntl.LOCK_SH)
            for server in requested:
                server.start()
    except OSError as error:
        raise EmbeddedError(f"{error.filename or run.parent}: {error.strerror}.") from error


def _release(run: Path, users: IO[str], requested: list[Server]) -> None:
    """Release the shared lock. If no other command holds it, stop the servers."""
    with _start_lock(run):
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            users.close()
            return
        for server in reversed(requested):
            server.stop()
        remove_socket_folder(run.parent)


@contextmanager
def _start_lock(run: Path) -> Iterator[None]:
    """Only one command at a time may start or stop servers."""
    with (run / "start.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
