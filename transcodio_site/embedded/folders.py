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
MIN_FREE_BYTES = 300 << 20  # for a database and one recording
PRIVATE_GIDS = range(50_000, 60_000)  # groups of root's databases, see `server_user.py`


class EmbeddedError(Exception):
    """The servers cannot run. `str()` is one line with the cause and what to do."""


def prepare(var: Path) -> Path:
    """Create the private folders and return the one for locks. Raises EmbeddedError."""
    try:
        for folder in (var, var / "run", var / "log"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _close_to_others(var)
        for name in ("start.lock", "users.lock"):
            (var / "run" / name).open("a").close()
    except OSError as error:
        raise EmbeddedError(
            f"The data folder {var} cannot be written ({error.filename}: {error.strerror}). "
            "Make it writable for the user who runs Transcodio, or set VAR_DIR to another folder."
        ) from error
    check_free_space(var)
    # For root it may be open to the group of Postgres.
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
    """The folder of the sockets: in the data folder, or a short path below /tmp.

    Below /tmp for root, because the Postgres user may be unable to enter the data folder, and if
    the path is too long or has characters that are special in a URL.
    """
    inside = var / "run"
    longest = len(os.fsencode(inside / "postgres" / ".s.PGSQL.5432"))
    plain = longest <= SOCKET_PATH_MAX_BYTES and re.fullmatch(r"[\w/. -]+", str(inside))
    if plain and os.geteuid() != 0:
        return inside
    # Not TMPDIR, which differs between shells: every command must use the same folder.
    digest = hashlib.sha256(os.fsencode(var)).hexdigest()[:16]
    return Path("/tmp") / f"transcodio-{os.geteuid()}-{digest}"  # noqa: S108 - its owner is checked


def postgres_socket_folder(var: Path) -> Path:
    """The folder of the Postgres socket. It belongs to the user that Postgres runs as."""
    return socket_folder(var) / "postgres"


def remove_socket_folder(var: Path) -> None:
    """Remove the folders of the sockets after the servers have stopped, if they are empty."""
    for folder in (postgres_socket_folder(var), socket_folder(var)):
        if folder != var / "run":
            with suppress(OSError):  # not empty, or removed by another command
                folder.rmdir()


def set_access(folder: Path, mode: int, *, uid: int = -1, gid: int = -1) -> None:
    """Set owner and mode of a folder. Links are not followed."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        status = os.fstat(descriptor)
        if uid not in (-1, status.st_uid) or gid not in (-1, status.st_gid):
            os.fchown(descriptor, uid, gid)
        if stat.S_IMODE(status.st_mode) != mode:
            os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def make_private(folder: Path, *, owners: tuple[int, ...], forbidden: int) -> None:
    """Create a folder that belongs to one of `owners` and has none of the `forbidden` mode bits.

    Raises EmbeddedError if something else exists at this path.
    """
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    is_owned = stat.S_ISDIR(status.st_mode) and status.st_uid in owners
    if not is_owned or status.st_mode & forbidden:
        raise EmbeddedError(
            f"{folder} is not a private folder of this user. "
            "Remove it, or set VAR_DIR to another path."
        )


def _close_to_others(var: Path) -> None:
    """Close the data folder and its contents to other users.

    For root it may stay open to one group, the private one of Postgres, which has to enter it (see
    `cluster.py`) and may access only the database.
    """
    status = var.stat()
    if status.st_mode & stat.S_ISVTX:
        raise EmbeddedError(f"{var} is shared with other users: set VAR_DIR to another folder.")
    shared = os.geteuid() == 0 and status.st_uid == 0 and status.st_gid in PRIVATE_GIDS
    var.chmod(0o700 | status.st_mode & (0o010 if shared else 0))
    for entry in var.iterdir() if shared else ():
        with suppress(FileNotFoundError):  # a temporary file of another command
            mode = stat.S_IMODE(entry.lstat().st_mode)
            if mode & 0o077 and not entry.is_symlink() and not entry.name.startswith("postgres"):
                entry.chmod(mode & ~0o077)
