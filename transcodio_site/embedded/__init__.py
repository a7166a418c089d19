"""PostgreSQL and Valkey from Python wheels, so that `make run` needs nothing but Python.

Every command that needs the servers holds a shared lock for as long as it runs. The first one
starts them, the last one to end stops them, and what a killed command left running is taken over
by the next. Both listen on Unix sockets in a private folder, never on a port, and no folder that
exists outside the data folder changes its owner or its permissions.
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
from transcodio_site.embedded.postgres import NAME, Postgres
from transcodio_site.embedded.server import Server
from transcodio_site.embedded.valkey import Valkey

__all__ = [
    "EmbeddedError",
    "check_free_space",
    "data_folder",
    "postgres_url",
    "redis_url",
    "revive",
    "servers",
    "socket_folder",
]


def postgres_url(var: Path) -> str:
    """The URL of the database that belongs to the data folder `var`."""
    return f"postgresql://{NAME}@/{NAME}?host={postgres_socket_folder(var)}&port=5432"


def redis_url(var: Path) -> str:
    """The URL of the Valkey that belongs to the data folder `var`."""
    return f"unix://{socket_folder(var) / 'valkey.sock'}?db=0"


@contextmanager
def servers(var: Path, *, postgres: bool = True, valkey: bool = True) -> Iterator[None]:
    """The servers are up while the body runs. Raises EmbeddedError."""
    wanted = _wanted(var, postgres, valkey)
    if not wanted:
        yield
        return
    run = prepare(var)
    with (run / "users.lock").open("w") as users:
        try:
            _join(run, users, wanted)
            yield
        finally:
            _leave(run, users, wanted)


def revive(var: Path, *, postgres: bool = True, valkey: bool = True) -> list[str]:
    """Restarts those that have died while `servers` is entered; returns their names.

    Raises EmbeddedError.
    """
    dead = [server for server in _wanted(var, postgres, valkey) if not server.running()]
    if dead:
        with _start_lock(var / "run"):
            for server in dead:
                server.start()
    return [server.name for server in dead]


def _wanted(var: Path, postgres: bool, valkey: bool) -> list[Server]:
    return [*([Postgres(var)] if postgres else []), *([Valkey(var)] if valkey else [])]


def _join(run: Path, users: IO[str], wanted: list[Server]) -> None:
    """Takes the shared lock and sees to it that the servers run. Raises EmbeddedError."""
    try:
        with _start_lock(run):
            fcntl.flock(users, fcntl.LOCK_SH)
            for server in wanted:
                server.start()
    except OSError as error:
        raise EmbeddedError(f"{error.filename or run.parent}: {error.strerror}.") from error


def _leave(run: Path, users: IO[str], wanted: list[Server]) -> None:
    """Gives up the shared lock; whoever can have it alone is the last, and stops the servers."""
    with _start_lock(run):
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            users.close()
            return
        for server in reversed(wanted):
            server.stop()
        remove_socket_folder(run.parent)


@contextmanager
def _start_lock(run: Path) -> Iterator[None]:
    """One command at a time starts or stops servers."""
    with (run / "start.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
