"""The folders of one installation: private, and reachable by the servers."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
from contextlib import suppress
from pathlib import Path

SOCKET_PATH_MAX = 100  # bytes: the kernel allows 107, macOS 103
ROOM = 300 << 20  # bytes that a database and one recording need at the least


class EmbeddedError(Exception):
    """The servers cannot run; one line that says why and what to do."""


def prepare(var: Path) -> Path:
    """Makes the private folders and returns the one for locks. Raises EmbeddedError."""
    try:
        for folder in (var, var / "run", var / "log"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        var.chmod(0o700)
        (var / "run" / "start.lock").touch()
    except OSError as error:
        raise EmbeddedError(
            f"The data folder {var} cannot be written: {error.strerror}. "
            "Give it to the user who runs Transcodio, or set VAR_DIR to another folder."
        ) from error
    check_room(var)
    _make_private(socket_folder(var))
    return var / "run"


def check_room(var: Path) -> None:
    """Raises EmbeddedError if the disk of the data folder is full."""
    free = shutil.disk_usage(var).free
    if free < ROOM:
        raise EmbeddedError(
            f"The disk is full: {free >> 20} MB are free in {var}, {ROOM >> 20} MB are needed. "
            "Make room, or set VAR_DIR to another disk."
        )


def socket_folder(var: Path) -> Path:
    """Where the sockets are: in the data folder, or in a short and plain place if its path is too
    long, or has characters that mean something in the address of a server."""
    near = var / "run"
    short = len(os.fsencode(near / ".s.PGSQL.5432")) <= SOCKET_PATH_MAX
    if short and re.fullmatch(r"[\w/. -]+", str(near)):
        return near
    # Not the TMPDIR of one shell or another: every command must come to the same place.
    digest = hashlib.sha256(os.fsencode(var)).hexdigest()[:16]
    return Path("/tmp") / f"transcodio-{os.geteuid()}-{digest}"  # noqa: S108 - checked to be ours


def _make_private(folder: Path) -> None:
    """A folder of ours that nobody else can enter. Raises EmbeddedError if it is not."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise EmbeddedError(
            f"{folder} is not a private folder of yours. "
            "Remove it, or set VAR_DIR to a shorter path."
        )
