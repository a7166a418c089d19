"""The folder of the database, and the user that owns it.

For an ordinary user the database is the folder `postgres` in VAR_DIR. For root it belongs to
another user, who must be able to enter it. If that user can enter VAR_DIR, the database is there
too, and VAR_DIR is opened to the private group of that user. If a parent folder of VAR_DIR is
closed to other users, as root's home is, the database is in a private folder below SERVER_HOMES,
and `VAR_DIR/postgres` is a link to it. Permissions of parent folders of VAR_DIR do not change. Only
the link shows which database belongs to VAR_DIR: without it, the next start creates an empty
database. This module never deletes anything below SERVER_HOMES.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from transcodio_site.embedded.folders import EmbeddedError, check_free_space, set_access
from transcodio_site.embedded.server_user import ServerUser, nobody_uid

SERVER_HOMES = Path("/var/lib/transcodio-postgres")
OWNER_NOTE = "belongs-to"  # contains VAR_DIR, so that operators can find unused databases
INCOMPLETE_PREFIX = "postgres.new."  # of a folder whose cluster is being created


@dataclass(frozen=True, slots=True)
class Cluster:
    """The folder of a database, which may not exist yet, and the user that Postgres runs as."""

    data: Path
    user: ServerUser

    @property
    def home(self) -> Path:
        """The parent folder: Postgres can enter it, and only the current user can write to it."""
        return self.data.parent


def data_folder(var: Path) -> Path:
    """The folder of the database of a data folder, with links resolved."""
    return Path(os.path.realpath(var / "postgres"))


def prepare_cluster(var: Path) -> Cluster:
    """Choose the folder of the database and give its user access. Raises EmbeddedError."""
    if os.geteuid() != 0:
        cluster = Cluster(data_folder(var), ServerUser.current())
    else:
        cluster = _prepare_as_root(var)
    if not cluster.home.is_dir():
        raise EmbeddedError(
            f"The database of {var} should be in {cluster.data}, which does not exist. Restore it, "
            f"or delete the link {var / 'postgres'} to start with an empty one."
        )
    check_free_space(cluster.home)
    return cluster


def remove_incomplete(cluster: Cluster) -> None:
    """Delete the files of an interrupted first start."""
    for folder in cluster.home.glob(f"{INCOMPLETE_PREFIX}*"):
        cluster.user.empty(folder)  # root may not be allowed to read it
        shutil.rmtree(folder, ignore_errors=True)


def _prepare_as_root(var: Path) -> Cluster:
    path = var / "postgres"
    _finish_move(var)
    user = ServerUser.for_database(path)
    if not path.is_symlink() and user.uid == nobody_uid() and not user.can_enter(var.parent):
        _move_to_server_home(var)
    data = data_folder(var)
    user = ServerUser.for_database(data)
    managed = data.parent in (Path(os.path.realpath(var)), SERVER_HOMES / data.parent.name)
    if managed and data.parent.is_dir() and user.uid == nobody_uid():
        _share_with(user, data, var)
    if data.parent.is_dir() and not user.can_enter(data if data.exists() else data.parent):
        raise EmbeddedError(
            f"The Postgres user (id {user.uid}) cannot access {data}. Set VAR_DIR to a folder "
            "that all users can reach, run Transcodio as another user, or set DATABASE_URL."
        )
    return Cluster(data, user)


def _share_with(user: ServerUser, data: Path, var: Path) -> None:
    """Let the private group of Postgres enter the parent folder of the database."""
    home = data.parent
    try:
        set_access(home, 0o710, uid=0, gid=user.gid)
        if data.exists() and ServerUser.owning(data) != user:  # created by an earlier release
            os.chown(data, user.uid, user.gid, follow_symlinks=False)
    except OSError as error:
        raise EmbeddedError(
            f"The owner of {home} cannot be changed ({error.strerror}), which Postgres requires "
            "for root. Set VAR_DIR to a folder on a local disk, or run Transcodio as another user."
        ) from error
    if home.parent == SERVER_HOMES:
        note = home / OWNER_NOTE
        if not note.exists() or note.read_text() != f"{var}\n":
            note.write_text(f"{var}\n")


def _move_to_server_home(var: Path) -> None:
    """Create a folder for the database below SERVER_HOMES, and move an existing database there."""
    home = _create_server_home(var)
    try:
        _moving_link(var).symlink_to(home / "postgres")
    except OSError as error:
        home.rmdir()
        raise EmbeddedError(
            f"The Postgres user cannot enter {var}, and no link can be created in it "
            f"({error.strerror}). Set VAR_DIR to another folder, or set DATABASE_URL."
        ) from error
    _finish_move(var)


def _create_server_home(var: Path) -> Path:
    try:
        with suppress(FileExistsError):
            SERVER_HOMES.mkdir(mode=0o711)
        status = SERVER_HOMES.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != 0 or status.st_mode & 0o022:
            raise EmbeddedError(f"{SERVER_HOMES} is not a folder that only root can write to.")
        set_access(SERVER_HOMES, 0o711)
        return Path(tempfile.mkdtemp(dir=SERVER_HOMES, prefix=""))
    except OSError as error:
        raise EmbeddedError(
            f"The Postgres user cannot enter a parent folder of {var}, and {SERVER_HOMES} cannot "
            f"be used instead ({error.strerror}). Set VAR_DIR to a folder that all users can "
            "reach, run Transcodio as a user other than root, or set DATABASE_URL."
        ) from error


def _moving_link(var: Path) -> Path:
    """The link that is renamed to `VAR_DIR/postgres` when the database has been moved. While it
    exists, the next start continues the move."""
    return var / "postgres.moving"


def _finish_move(var: Path) -> None:
    link, path = _moving_link(var), var / "postgres"
    if not link.is_symlink():
        return
    data = link.readlink()
    if path.exists() and not data.exists():
        _move(path, data)
    if path.exists():  # it was copied: keep the original under another name
        path.rename(var / "postgres.old")
    link.rename(path)


def _move(old: Path, new: Path) -> None:
    """Rename within a file system, or copy to another one."""
    try:
        # Moving a folder requires write access to it, which root may lack in a container.
        os.chown(old, 0, 0, follow_symlinks=False)
        old.rename(new)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy(old, new)


def _copy(old: Path, new: Path) -> None:
    incomplete = Path(tempfile.mkdtemp(prefix=INCOMPLETE_PREFIX, dir=new.parent))
    copied = subprocess.run(
        ["cp", "-a", f"{old}/.", str(incomplete)], capture_output=True, text=True, check=False
    )
    if copied.returncode:
        raise EmbeddedError(f"{old} cannot be copied: {copied.stderr.strip().splitlines()[-1]}")
    incomplete.rename(new)
