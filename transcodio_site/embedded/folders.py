"""The private folders of one installation: the data folder, and the folder of the sockets."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
from contextlib import suppress
from pathlib import Path

SOCKET_PATH_MAX_BYTES = 100  # the kernel allows 107, macOS 103
MIN_FREE_BYTES = 300 << 20  # what a database and one recording need
PRIVATE_GIDS = range(50_000, 60_000)  # groups of root's databases, see `server_user.py`


class EmbeddedError(Exception):
    """The servers cannot run; one line that says why and what to do."""


def prepare(var: Path) -> Path:
    """Makes the private folders and returns the one for locks. Raises EmbeddedError."""
    try:
        for folder in (var, var / "run", var / "log"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _close_to_others(var)
        (var / "run" / "start.lock").touch()
    except OSError as error:
        raise EmbeddedError(
            f"The data folder {var} cannot be written: {error.strerror}. "
            "Give it to the user who runs Transcodio, or set VAR_DIR to another folder."
        ) from error
    check_free_space(var)
    # Root's own may be open to the group of Postgres.
    forbidden = 0o067 if os.geteuid() == 0 else 0o077
    make_private(socket_folder(var), owners=(os.geteuid(),), forbidden=forbidden)
    return var / "run"


def check_free_space(folder: Path) -> None:
    """Raises EmbeddedError if the disk of a folder is full."""
    free = shutil.disk_usage(folder).free
    if free < MIN_FREE_BYTES:
        raise EmbeddedError(
            f"The disk is full: {free >> 20} MB are free in {folder}, {MIN_FREE_BYTES >> 20} MB "
            "are needed. Free some space, or set VAR_DIR to a folder on another disk."
        )


def socket_folder(var: Path) -> Path:
    """Where the sockets are: in the data folder, or in a short path below /tmp.

    Below /tmp for root, because the user of Postgres may be unable to reach the data folder; and
    where the path is too long, or has characters that mean something in the URL of a server.
    """
    inside = var / "run"
    longest = len(os.fsencode(inside / "postgres" / ".s.PGSQL.5432"))
    plain = longest <= SOCKET_PATH_MAX_BYTES and re.fullmatch(r"[\w/. -]+", str(inside))
    if plain and os.geteuid() != 0:
        return inside
    # Not the TMPDIR of one shell or another: every command must come to the same place.
    digest = hashlib.sha256(os.fsencode(var)).hexdigest()[:16]
    return Path("/tmp") / f"transcodio-{os.geteuid()}-{digest}"  # noqa: S108 - checked to be ours


def postgres_socket_folder(var: Path) -> Path:
    """Belongs to the user that Postgres runs as."""
    return socket_folder(var) / "postgres"


def remove_socket_folder(var: Path) -> None:
    """After the servers have stopped. What else lies there stays."""
    for folder in (postgres_socket_folder(var), socket_folder(var)):
        if folder != var / "run":
            with suppress(OSError):  # not empty, or another command was quicker
                folder.rmdir()


def set_access(folder: Path, mode: int, *, uid: int = -1, gid: int = -1) -> None:
    """Sets owner and mode of a folder, never of what a link in its place points to."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        found = os.fstat(descriptor)
        if uid not in (-1, found.st_uid) or gid not in (-1, found.st_gid):
            os.fchown(descriptor, uid, gid)
        if stat.S_IMODE(found.st_mode) != mode:
            os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def make_private(folder: Path, *, owners: tuple[int, ...], forbidden: int) -> None:
    """A folder of one of the `owners`, without the `forbidden` bits of mode.

    Raises EmbeddedError where somebody else has put something in its place.
    """
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid in owners
    if not ours or found.st_mode & forbidden:
        raise EmbeddedError(
            f"{folder} is not a private folder of yours. Remove it, or set VAR_DIR to another path."
        )


def _close_to_others(var: Path) -> None:
    """Takes the data folder, and all in it, away from other users.

    Root's data folder may stay open to one group: the private one of Postgres, which has to pass
    through it (see `cluster.py`), and must find nothing open there except the database.
    """
    found = var.stat()
    if found.st_mode & stat.S_ISVTX:
        raise EmbeddedError(f"{var} is shared with other users: set VAR_DIR to another folder.")
    shared = os.geteuid() == 0 and found.st_uid == 0 and found.st_gid in PRIVATE_GIDS
    var.chmod(0o700 | found.st_mode & (0o010 if shared else 0))
    for entry in var.iterdir() if shared else ():
        with suppress(FileNotFoundError):  # a temporary file of another command
            mode = stat.S_IMODE(entry.lstat().st_mode)
            if mode & 0o077 and not entry.is_symlink() and not entry.name.startswith("postgres"):
                entry.chmod(mode & ~0o077)
