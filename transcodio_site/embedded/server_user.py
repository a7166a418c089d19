"""The user that Postgres runs as: the current one, or `nobody` for root, which Postgres refuses."""

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

PASSED_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "TZ")


@dataclass(frozen=True, slots=True)
class ServerUser:
    """A user id and a group id.

    Databases of root run as `nobody`, each with a unique group id. The mode of their folders admits
    only that group, not even other processes of the user `nobody`.
    """

    uid: int
    gid: int

    @classmethod
    def current(cls) -> ServerUser:
        """The user of this process."""
        return cls(os.geteuid(), os.getegid())

    @classmethod
    def owning(cls, folder: Path) -> ServerUser:
        """The owner of a folder. Raises OSError."""
        status = folder.stat()
        return cls(status.st_uid, status.st_gid)

    @classmethod
    def for_database(cls, data: Path) -> ServerUser:
        """The user for a database of root in `data`, which may not exist yet."""
        nobody = nobody_uid()
        if data.exists():
            owner = cls.owning(data)
            if owner.uid not in (0, nobody) or (owner.uid == nobody and owner.gid in PRIVATE_GIDS):
                return owner
        return cls(nobody, _private_gid(data.parent))

    @property
    def process_options(self) -> dict[str, Any]:
        """Options of `subprocess` to run as this user, without other groups or capabilities."""
        if self.uid == os.geteuid():
            return {}
        # Not an empty list of groups: Python 3.12.0 would then keep the groups of root.
        return {"user": self.uid, "group": self.gid, "extra_groups": [self.gid]}

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command, wait for it and capture its output. Raises EmbeddedError."""
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
        """Run a line of shell script with `arguments` as $1, $2, ... Raises EmbeddedError."""
        return self.run("/bin/sh", "-c", script, "sh", *map(str, arguments))

    def can_enter(self, folder: Path) -> bool:
        """Whether this user can enter a folder. Mode bits alone do not decide that, so try it."""
        return self.shell('cd "$1"', folder).returncode == 0

    def read(self, path: Path) -> str:
        """The text of a file that belongs to this user. Raises OSError, EmbeddedError."""
        try:
            return path.read_text(errors="replace")
        except PermissionError:  # root in a container may not be allowed to enter every folder
            result = self.shell('cat "$1"', path)
            if result.returncode:
                raise
            return result.stdout

    def write(self, path: Path, text: str) -> None:
        """Replace a file of this user. Raises EmbeddedError."""
        result = self.shell('printf %s "$2" > "$1.new" && mv "$1.new" "$1"', path, text)
        if result.returncode:
            raise EmbeddedError(f"{path} cannot be written: {result.stderr.strip()}.")

    def empty(self, folder: Path) -> None:
        """Delete the contents of a folder of this user."""
        self.shell('cd "$1" && rm -rf ./* ./.[!.]*', folder)


def nobody_uid() -> int:
    """The id of the user `nobody`. Raises EmbeddedError if there is no such user."""
    try:
        return pwd.getpwnam("nobody").pw_uid
    except KeyError:
        raise EmbeddedError(
            "Postgres does not run as root, and there is no user `nobody` on this machine. "
            "Run Transcodio as another user, or set DATABASE_URL."
        ) from None


def server_environment() -> dict[str, str]:
    """The environment of servers: without secrets, and without variables that affect Postgres."""
    return {name: os.environ[name] for name in PASSED_VARIABLES if name in os.environ} | {
        "LC_ALL": "C"
    }


def _private_gid(folder: Path) -> int:
    """A group id that depends only on the folder and is not a group of this machine."""
    first = int.from_bytes(hashlib.sha256(os.fsencode(folder)).digest()[:8])
    for step in range(len(PRIVATE_GIDS)):
        gid = PRIVATE_GIDS[(first + step) % len(PRIVATE_GIDS)]
        try:
            grp.getgrgid(gid)
        except KeyError:
            return gid
    raise EmbeddedError("All group ids from 50000 to 59999 are taken on this machine.")
