"""Small private files that survive crashes, full disks and concurrent processes."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MIN_KEY_LENGTH = 32  # a shorter key has been truncated


def write_atomically(path: Path, text: str) -> None:
    """Replace a file. Whatever happens, it has either the old or the new content. Raises OSError.

    Only the current user can read it.
    """
    new = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())  # or a power failure could leave an empty file
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise


@contextmanager
def exclusive_lock(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock of this file while the body runs. The kernel releases it if the process dies.

    Raises BlockingIOError if another process holds it and `wait` is false, and OSError.
    """
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield


def stored_secret_key(path: Path) -> str:
    """The secret key of an installation, so that sessions survive a restart. Raises OSError.

    The first call creates it, and concurrent first calls return the same key. A damaged key is
    replaced: all users have to sign in again.
    """
    if not (key := _read_key(path)):
        with exclusive_lock(path.with_name(f"{path.name}.lock")):
            if not (key := _read_key(path)):
                key = secrets.token_urlsafe(50)
                write_atomically(path, key)
    return key


def _read_key(path: Path) -> str:
    """The key; empty if there is none or if it is damaged."""
    try:
        key = path.read_bytes().decode()
    except (FileNotFoundError, UnicodeDecodeError):
        return ""
    is_intact = len(key.strip()) >= MIN_KEY_LENGTH and key.strip().isprintable()
    return key if is_intact else ""
