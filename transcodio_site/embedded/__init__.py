"""PostgreSQL and Valkey from Python wheels, so that `make run` needs nothing but Python.

Every command that needs the servers holds a shared lock while it runs. The first command starts
them, and the last one to exit stops them. The next command adopts servers that a killed command
left running. Both listen on Unix sockets in a private folder, never on a port. The owner and
permissions of existing folders outside the data folder do not change.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO

from transcodio_site.embedded.access import DATABASE_NAME, SUPERUSER
from transcodio_site.embedded.cluster import data_folder
from transcodio_site.embedded.folders import (
    EmbeddedError,
    check_free_space,
    postgres_socket_folder,
    prepare,
    remove_socket_folder,
    socket_folder,
)
from transcodio_site.embedded.postgres import Postgres
from transcodio_site.embedded.server import Server
from transcodio_site.embedded.valkey import Valkey
from transcodio_site.embedded.watch import ServerWatch
from transcodio_site.files import exclusive_lock

__all__ = [
    "EmbeddedError",
    "check_free_space",
    "data_folder",
    "postgres_url",
    "redis_url",
    "servers",
    "socket_folder",
    "superuser_url",
    "watches",
]


def postgres_url(var: Path) -> str:
    """The URL of the database that belongs to the data folder `var`."""
    return _postgres_url(var, DATABASE_NAME)


def superuser_url(var: Path) -> str:
    """The URL of the same database for its superuser."""
    return _postgres_url(var, SUPERUSER)


def _postgres_url(var: Path, user: str) -> str:
    host = postgres_socket_folder(var)
    return f"postgresql://{user}@/{DATABASE_NAME}?host={host}&port=5432"


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


def watches(var: Path, *, postgres: bool = True, valkey: bool = True) -> list[ServerWatch]:
    """One watch for each server that `servers()` started with the same arguments."""
    return [ServerWatch(server) for server in _requested(var, postgres, valkey)]


def _requested(var: Path, postgres: bool, valkey: bool) -> list[Server]:
    return [*([Postgres(var)] if postgres else []), *([Valkey(var)] if valkey else [])]


def _acquire(run: Path, users: IO[str], requested: list[Server]) -> None:
    """Take the shared lock and start the servers unless they run. Raises EmbeddedError."""
    try:
        with exclusive_lock(run / "start.lock"):
            fcntl.flock(users, fcntl.LOCK_SH)
            for server in requested:
                server.start()
    except OSError as error:
        raise EmbeddedError(f"{error.filename or run.parent}: {error.strerror}.") from error


def _release(run: Path, users: IO[str], requested: list[Server]) -> None:
    """Release the shared lock. If no other command holds it, stop the servers."""
    # No lock is needed if the data folder was moved or deleted meanwhile: no command can use it.
    with exclusive_lock(run / "start.lock") if run.exists() else nullcontext():
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            users.close()
            return
        for server in reversed(requested):
            server.stop()
        remove_socket_folder(run.parent)
