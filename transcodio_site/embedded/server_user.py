"""The user that Postgres runs as: our own, or `nobody` for root, because Postgres refuses root."""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transcodio_site.embedded.folders import PRIVATE_GIDS, EmbeddedError

KEPT_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "TZ")


@dataclass(frozen=True, slots=True)
class ServerUser:
    """A user and a group by number.

    Root's databases run as `nobody`, each with a group id of its own that no other process has:
    the mode of their folders lets that group in and nobody else, not even other processes of the
    user `nobody`.
    """

    uid: int
    gid: int

    @classmethod
    def current(cls) -> ServerUser:
        """The one that runs this program."""
        return cls(os.geteuid(), os.getegid())

    @classmethod
    def owning(cls, folder: Path) -> ServerUser:
        """The one that a folder belongs to. Raises OSError."""
        found = folder.stat()
        return cls(found.st_uid, found.st_gid)

    @classmethod
    def for_database(cls, data: Path) -> ServerUser:
        """The one that root runs the database in `data` as, whether it exists already or not."""
        nobody = nobody_uid()
        if data.exists():
            owner = cls.owning(data)
            if owner.uid not in (0, nobody) or (owner.uid == nobody and owner.gid in PRIVATE_GIDS):
                return owner
        return cls(nobody, _private_gid(data.parent))

    @property
    def process_options(self) -> dict[str, Any]:
        """What makes `subprocess` run a program as this user, without groups or capabilities."""
        if self.uid == os.geteuid():
            return {}
        # An empty list of groups would be right too, but Python 3.12.0 then keeps those of root.
        return {"user": self.uid, "group": self.gid, "extra_groups": [self.gid]}

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Runs a command to its end and collects its output. Raises EmbeddedError."""
        try:
            return subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                cwd="/",
                env=server_environment(),
                start_new_session=True,
                check=False,
                **self.process_options,
            )
        except OSError as error:
            raise EmbeddedError(
                f"{command[0]} cannot be run by the user with the id {self.uid}: {error.strerror}. "
                "Run Transcodio as a user other than root, or set DATABASE_URL."
            ) from error

    def shell(self, script: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Runs a line of shell script with `arguments` as $1, $2, ... Raises EmbeddedError."""
        return self.run("/bin/sh", "-c", script, "sh", *map(str, arguments))

    def can_enter(self, folder: Path) -> bool:
        """Whether this user gets there. Tried, because mode bits do not tell the whole story."""
        return self.shell('cd "$1"', folder).returncode == 0

    def read(self, path: Path) -> str:
        """The text of a file that belongs to this user. Raises OSError, EmbeddedError."""
        try:
            return path.read_text()
        except PermissionError:  # root in a container may lack the right to pass everywhere
            found = self.shell('cat "$1"', path)
            if found.returncode:
                raise
            return found.stdout

    def empty(self, folder: Path) -> None:
        """Deletes what is in a folder of this user."""
        self.shell('cd "$1" && rm -rf ./* ./.[!.]*', folder)


def nobody_uid() -> int:
    """Raises EmbeddedError if the machine has no such user."""
    try:
        return pwd.getpwnam("nobody").pw_uid
    except KeyError:
        raise EmbeddedError(
            "Postgres does not run as root, and this machine has no user `nobody`. "
            "Run Transcodio as another user, or set DATABASE_URL."
        ) from None


def server_environment() -> dict[str, str]:
    """The little that servers need of ours, without secrets and what would mislead Postgres."""
    return {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ} | {
        "LC_ALL": "C"
    }


def _private_gid(folder: Path) -> int:
    """The same for the same folder, and no group of this machine."""
    first = int.from_bytes(hashlib.sha256(os.fsencode(folder)).digest()[:8])
    for step in range(len(PRIVATE_GIDS)):
        gid = PRIVATE_GIDS[(first + step) % len(PRIVATE_GIDS)]
        try:
            grp.getgrgid(gid)
        except KeyError:
            return gid
    raise EmbeddedError("All group ids from 50000 to 59999 are taken on this machine.")
